import { shortageOf } from "../../contract/shortages.ts";
import type { Logger } from "../../kit/log.ts";
import { failProcess, type StartError } from "../../kit/process.ts";
import { LateQueue } from "../queue/late-queue.ts";
import type { Queue } from "../queue/queue.ts";
import type { AsyncConfig, EmbeddedConfig, JetStreamConfig } from "./async-config.ts";
import { followNatsCredentials } from "./secret-files.ts";

export interface OpenQueue {
  readonly queue: Queue;
  /** Resolves once there is something to take calls from. */
  readonly whenOpen: Promise<void>;
  /** Why it will never work again in this process; undefined while there is hope. */
  problem(): string | undefined;
  /** Connections to the server that were made anew; absent when there is no server. */
  readonly reconnects?: () => number;
}

/** The one switch on the kind of queue; undefined with `queue=none`. */
export async function openQueue(config: AsyncConfig, log: Logger): Promise<OpenQueue | undefined> {
  const { queue } = config;
  if (queue.kind === "none") return undefined;
  return queue.kind === "embedded" ? await openEmbedded(queue, log) : await openJetStream(queue, config, log);
}

async function openEmbedded({ kind: _kind, callLimits, ...settings }: EmbeddedConfig, log: Logger): Promise<OpenQueue> {
  const { openEmbeddedQueue } = await import("../queue/embedded/index.ts");
  let failure: string | undefined;
  const onFailure = (error: Error) => {
    failure = `the queue has failed: ${error.message}`;
  };
  const open = async () => await openEmbeddedQueue({ ...settings, limits: callLimits, log, onFailure });
  try {
    return { queue: await open(), whenOpen: Promise.resolve(), problem: () => failure };
  } catch (error) {
    // A full disk passes, and synchronous calls need none.
    if (!shortageOf(error)) throw error;
    log.error({ err: error }, "cannot open the queue yet; rejecting asynchronous calls until it opens");
  }
  const { maxBodyBytes, maxResultBytes } = settings;
  const queue = new LateQueue({ maxBodyBytes, maxResultBytes, open, log });
  await queue.whenTried;
  return { queue, whenOpen: queue.whenOpen, problem: () => failure };
}

async function openJetStream(
  { kind: _kind, ...settings }: JetStreamConfig,
  { secretMountPath }: AsyncConfig,
  log: Logger,
): Promise<OpenQueue> {
  const { openJetStreamQueue } = await import("../queue/jetstream/index.ts");
  let reconnects = 0;
  const onReconnect = () => {
    reconnects++;
  };
  const credentials = followNatsCredentials(secretMountPath);
  const open = async () => await openJetStreamQueue({ ...settings, credentials, log, onReconnect });
  let failure: StartError | undefined;
  let fail = (error: StartError) => {
    failure = error;
  };
  const queue = new LateQueue({ ...settings, open, log, onFailure: (error) => fail(error) });
  // Where the server is there, the first calls must not be turned away.
  await queue.whenTried;
  if (failure) throw failure;
  fail = failProcess;
  return { queue, whenOpen: queue.whenOpen, problem: () => undefined, reconnects: () => reconnects };
}
