import type { Logger } from "../../kit/log.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";
import { CallbackSigner } from "../async/callbacks/signer.ts";
import type { FunctionCaller } from "../async/function-caller.ts";
import { snapshotsOf } from "../async/worker/function-snapshots.ts";
import { StampedCaller } from "../async/worker/stamped-caller.ts";
import { TracedCaller } from "../async/worker/traced-caller.ts";
import { type CallWorker, startQueueWorker } from "../async/worker/worker.ts";
import type { QueueMeter } from "../metrics/queue-meter.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { Queue } from "../queue/queue.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import type { AsyncConfig } from "./async-config.ts";
import { readSigningSecrets } from "./secret-files.ts";

export interface QueueWorkerParts {
  readonly config: AsyncConfig;
  readonly queue: Pick<Queue, "consume" | "publish" | "maxResultBytes">;
  /** Resolves once `queue` can be drained. */
  readonly whenOpen: Promise<void>;
  readonly meter: QueueMeter;
  readonly table: FunctionTable;
  /** Makes the calls. Its owner closes it after the worker. */
  readonly caller: FunctionCaller;
  readonly tracer: Tracer | undefined;
  readonly release: string;
  readonly drainTimeoutMs: number;
  readonly defaultNamespace: string;
  readonly log: Logger;
}

export interface RunningWorker {
  /** Why it could not start, undefined while it may or has. */
  problem(): string | undefined;
  /** Takes no more calls, finishes those under way as far as the time goes, hands back the rest. */
  close(): Promise<void>;
}

/**
 * Drains the queue from the moment that it is there and all functions are known: before, a call of a function that is only not yet
 * known would look like one of a function that is gone.
 */
export async function runWorker(parts: QueueWorkerParts): Promise<RunningWorker> {
  const secrets = await readSigningSecrets(parts.config.secretMountPath);
  const closing = Promise.withResolvers<"closed">();
  let problem: string | undefined;
  const running = Promise.race([Promise.all([parts.table.whenSynced, parts.whenOpen]), closing.promise]).then(
    async (first) => (first === "closed" ? undefined : await start(parts, secrets)),
  );
  running.catch((err: unknown) => {
    problem = "the queue worker could not start";
    parts.log.error({ err }, problem);
  });
  return {
    problem: () => problem,
    close: async () => {
      closing.resolve("closed");
      const worker = await running.catch(() => undefined); // logged already
      await worker?.close(parts.drainTimeoutMs);
    },
  };
}

async function start(parts: QueueWorkerParts, secrets: readonly string[]): Promise<CallWorker> {
  const { config, queue, meter, table, tracer, release, defaultNamespace, log } = parts;
  const { retry, ...worker } = config.worker;
  const caller = new StampedCaller(parts.caller);
  return await startQueueWorker({
    ...worker,
    queue,
    caller: tracer ? new TracedCaller(caller, tracer) : caller,
    tracer,
    release,
    functions: snapshotsOf(table),
    defaults: retry,
    defaultNamespace,
    targets: new CallbackTargets(config.callbackTargets),
    ...(secrets.length > 0 && { signer: new CallbackSigner(secrets) }),
    log,
    events: meter.events,
  });
}
