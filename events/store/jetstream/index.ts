import { openLink } from "../../../gateway/nats/connection.ts";
import { outdated } from "../../../gateway/nats/server-version.ts";
import { StartError } from "../../../kit/process.ts";
import type { EventStore } from "../event-store.ts";
import type { ResourceStore } from "../resource-store.ts";
import { OVERHEAD_BYTES } from "./client/context.ts";
import { LateEventStore } from "./late-store.ts";
import { type JetStreamEventsOptions, withEventDefaults } from "./options.ts";
import { JetStreamEventStore } from "./store.ts";

export type { JetStreamEventsOptions } from "./options.ts";

export interface JetStreamEvents {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  /** Resolves once there is a server; until then everything is `unavailable`. */
  readonly whenOpen: Promise<void>;
  close(): Promise<void>;
}

/** What servers take by default. */
const USUAL_PAYLOAD = 1024 ** 2;

/**
 * Events on NATS JetStream, shared by any number of processes. Streams are made when they are missing. Resolves once it has
 * been tried to connect, whether there is a server or not.
 * @throws {StartError} when the server is too old
 */
export async function openJetStreamEvents(options: JetStreamEventsOptions): Promise<JetStreamEvents> {
  const settings = withEventDefaults(options);
  let failure: StartError | undefined;
  let fail = (error: StartError) => {
    failure = error;
  };
  const store = new LateEventStore({
    open: () => open(options),
    onFailure: (error) => fail(error),
    maxEventBytes: Math.min(settings.maxEventBytes, USUAL_PAYLOAD - OVERHEAD_BYTES),
    log: settings.log,
  });
  await store.whenTried;
  if (failure) {
    await store.close();
    throw failure;
  }
  fail = (err) => {
    settings.log.error({ err }, "events cannot be kept");
    options.onFailure?.(err);
  };
  return {
    events: store,
    resources: store.resources,
    whenOpen: store.whenOpen.then(() => undefined),
    close: () => store.close(),
  };
}

async function open(options: JetStreamEventsOptions): Promise<JetStreamEventStore> {
  const settings = withEventDefaults(options);
  const link = await openLink(settings, options.credentials);
  const tooOld = outdated(link.nc.info?.version ?? "");
  if (tooOld !== undefined) {
    await link.close();
    throw new StartError(`cannot keep events at NATS ${settings.servers}: ${tooOld}`);
  }
  if (options.onReconnect) link.onReconnect(options.onReconnect);
  try {
    return await JetStreamEventStore.open(link, settings);
  } catch (cause) {
    await link.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the streams of events cannot be made at NATS ${settings.servers}: ${reason}`, { cause });
  }
}
