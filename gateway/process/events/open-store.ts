import type { EventStore } from "../../../events/store/event-store.ts";
import type { ResourceStore } from "../../../events/store/resource-store.ts";
import type { Logger } from "../../../kit/log.ts";
import type { EmbeddedEventsConfig, JetStreamEventsConfig } from "../events-config.ts";
import { followNatsCredentials } from "../secret-files.ts";

/** Where events are, and what is declared beside them. */
export interface OpenEventStore {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  /** Why it will never work again in this process; undefined while there is hope. */
  problem(): string | undefined;
  close(): Promise<void>;
}

/**
 * The one switch on where events are kept.
 * @param secretMountPath folder of the credentials for NATS
 * @throws {StartError}
 */
export async function openEventStore(
  config: EmbeddedEventsConfig | JetStreamEventsConfig,
  secretMountPath: string,
  log: Logger,
): Promise<OpenEventStore> {
  let failure: string | undefined;
  const onFailure = (error: Error) => {
    failure = `the events have failed: ${error.message}`;
  };
  const opened =
    config.kind === "embedded"
      ? await openEmbedded(config, log, onFailure)
      : await openJetStream(config, secretMountPath, log, onFailure);
  return { ...opened, problem: () => failure };
}

type OnFailure = (error: Error) => void;

async function openEmbedded({ path, maxEventBytes }: EmbeddedEventsConfig, log: Logger, onFailure: OnFailure) {
  const { openEmbeddedEvents } = await import("../../../events/store/embedded/index.ts");
  return await openEmbeddedEvents({ path, maxEventBytes, log, onFailure });
}

async function openJetStream(
  { servers, replicas, storage, maxEventBytes }: JetStreamEventsConfig,
  secretMountPath: string,
  log: Logger,
  onFailure: OnFailure,
) {
  const { openJetStreamEvents } = await import("../../../events/store/jetstream/index.ts");
  const credentials = followNatsCredentials(secretMountPath);
  return await openJetStreamEvents({ servers, replicas, storage, maxEventBytes, credentials, log, onFailure });
}
