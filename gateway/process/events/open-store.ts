import type { EventStore } from "../../../events/store/event-store.ts";
import type { ResourceStore } from "../../../events/store/resource-store.ts";
import type { Logger } from "../../../kit/log.ts";
import type { EmbeddedEventsConfig, JetStreamEventsConfig } from "../events-config.ts";

/** Where events are, and what is declared beside them. */
export interface OpenEventStore {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  /** Why it will never work again in this process; undefined while there is hope. */
  problem(): string | undefined;
  close(): Promise<void>;
}

/** The one switch on where events are kept. @throws {StartError} */
export async function openEventStore(
  config: EmbeddedEventsConfig | JetStreamEventsConfig,
  _secretMountPath: string,
  log: Logger,
): Promise<OpenEventStore> {
  const { openEmbeddedEvents } = await import("../../../events/store/embedded/index.ts");
  let failure: string | undefined;
  const { path, maxEventBytes } = config as EmbeddedEventsConfig;
  const opened = await openEmbeddedEvents({
    path,
    maxEventBytes,
    log,
    onFailure: (error) => {
      failure = `the events have failed: ${error.message}`;
    },
  });
  return { ...opened, problem: () => failure };
}
