import type { Logger } from "../../kit/log.ts";
import { earliestNow } from "../../kit/steady-clock.ts";
import type { EventStore } from "../store/event-store.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { Transforms } from "../transforms/transforms.ts";
import { FlowSet } from "./flow-set.ts";
import type { CurrentVersion } from "./flow-steps.ts";
import { FLOW_BROKER, MAX_RUN_MS } from "./plan.ts";
import { DEFAULT_RUN_RETENTION, RunHousekeeper, type RunRetention } from "./run-housekeeper.ts";
import { type ObserveRun, RunStore } from "./run-store.ts";
import { type CountedRuns, RunsUnderWay } from "./runs-under-way.ts";

export interface OpenFlowsOptions {
  readonly events: Pick<EventStore, "limit" | "maxEventBytes">;
  readonly resources: ResourceStore;
  readonly transforms: Pick<Transforms, "transform" | "evaluate">;
  /** A run calls the version that a function has at its start. None is pinned when absent. */
  readonly currentVersion?: CurrentVersion;
  readonly retention?: RunRetention;
  /** Whether this process ends runs that take too long, and forgets old ones. Default: yes. */
  readonly keeps?: boolean;
  /** Runs of one flow that have not ended; more of them wait. Default: 10,000. */
  readonly maxUnderWay?: number;
  /** Told of runs that begin and end in this process. */
  readonly observe?: ObserveRun | undefined;
  /** Between two looks at all runs, in milliseconds. Default: 15 s. */
  readonly lookMs?: number;
  readonly now?: () => number;
  readonly log: Pick<Logger, "warn">;
}

export interface OpenFlows {
  /** For the engine. */
  readonly triggers: FlowSet;
  /** Of all processes, as of the last look at them; none in one that does not look. */
  readonly runs: () => readonly CountedRuns[];
  close(): Promise<void>;
}

const LOOK_MS = 15_000;
/** What has been delivered makes room; a run's events are kept as long as it may take, and a day to look at them. */
const LIMITS = { maxAgeMs: MAX_RUN_MS + 24 * 3600_000, maxBytes: 256 * 1024 ** 2, maxEvents: 1_000_000 };

/** Has declared flows run, in the process that delivers events. */
export function openFlows(options: OpenFlowsOptions): OpenFlows {
  const { events, resources, transforms, retention = DEFAULT_RUN_RETENTION, now = Date.now, log } = options;
  const runs = new RunStore(resources, options.observe);
  const underWay = new RunsUnderWay(options.maxUnderWay);
  const overNow = options.now ?? earliestNow;
  const triggers = new FlowSet({
    resources,
    runs,
    transforms,
    currentVersion: options.currentVersion ?? (() => undefined),
    maxEventBytes: events.maxEventBytes,
    now,
    overNow,
    underWay,
    onNamespace: (namespace) => {
      events.limit({ namespace, name: FLOW_BROKER }, LIMITS).catch((err: unknown) => {
        log.warn({ err, namespace }, "the limits of flows cannot be set");
      });
    },
    log,
  });
  const housekeeper =
    options.keeps === false
      ? undefined
      : new RunHousekeeper({ runs, retention, now, overNow, underWay, everyMs: options.lookMs ?? LOOK_MS, log });
  return {
    triggers,
    runs: () => underWay.states,
    close: async () => {
      triggers.close();
      await housekeeper?.close();
    },
  };
}
