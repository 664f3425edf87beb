import { keepTrying } from "../../kit/keep-trying.ts";
import type { Logger } from "../../kit/log.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { BrokerDeliveries } from "./broker-deliveries.ts";
import { DocumentTriggers } from "./document-triggers.ts";
import { type CheckTransform, FunctionTriggers, type KnownFunctions } from "./function-triggers.ts";
import { SinkTriggers } from "./sink-triggers.ts";
import { SubscriberHealth } from "./subscriber-health.ts";
import type { TriggerSet } from "./trigger.ts";
import { Triggers } from "./triggers.ts";

export interface OpenTriggersOptions {
  readonly resources: ResourceStore;
  readonly functions: KnownFunctions;
  readonly brokers: BrokerDeliveries;
  /** Of others, e.g. flows. */
  readonly sets?: readonly TriggerSet[];
  /** Default: they show their mistakes when they are applied. */
  readonly checkTransform?: CheckTransform;
  readonly log: Pick<Logger, "warn">;
}

export interface OpenTriggers {
  readonly triggers: Triggers;
  readonly health: SubscriberHealth;
  /** What has been declared in this process counts from when it resolves. */
  refresh(): Promise<void>;
  close(): void;
}

/** All triggers of the platform, kept current. */
export function openTriggers({
  resources,
  functions,
  brokers,
  sets = [],
  log,
  checkTransform,
}: OpenTriggersOptions): OpenTriggers {
  const health = new SubscriberHealth(resources, log);
  const documents = new DocumentTriggers(resources, brokers, log);
  const ofSinks = new SinkTriggers(resources, brokers, log);
  const ofFunctions = new FunctionTriggers(functions, brokers, log, checkTransform);
  const closing = new AbortController();
  const triggers = new Triggers(
    [documents, ofFunctions, ofSinks, ...sets],
    health,
    readBrokers(brokers, log, closing.signal),
  );
  return {
    triggers,
    health,
    refresh: async () => {
      await Promise.all([brokers.read(), documents.refresh()]);
    },
    close: () => {
      closing.abort();
      for (const part of [triggers, ofFunctions, ofSinks, documents, health]) part.close();
    },
  };
}

async function readBrokers(brokers: BrokerDeliveries, log: Pick<Logger, "warn">, signal: AbortSignal): Promise<void> {
  const attempt = async (before: number): Promise<boolean> => {
    try {
      await brokers.read();
      return true;
    } catch (err) {
      if (before === 0) log.warn({ err }, "what is declared of brokers cannot be read; trying again");
      return false;
    }
  };
  await keepTrying(attempt, [200, 10_000], signal);
}
