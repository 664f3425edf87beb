import { FaasError } from "../../../contract/errors.ts";
import type { FunctionRef } from "../../../contract/functions.ts";
import { StartError } from "../../../kit/process.ts";
import { sleep } from "../../../kit/sleep.ts";
import { earliestNow } from "../../../kit/steady-clock.ts";
import { API_ERRORS, isApiError, openLink } from "../../nats/connection.ts";
import { isShort } from "../../nats/ensure-stream.ts";
import { outdated } from "../../nats/server-version.ts";
import type {
  CallbackRequest,
  CallFilter,
  CallPage,
  CallRequest,
  CallState,
  CallStatus,
  ConsumeOptions,
  Consumer,
  Deliver,
  NewCall,
  Outcome,
  Queue,
  Receipt,
} from "../queue.ts";
import type { QueueStats } from "../stats.ts";
import { requestOf } from "./admin/call-request.ts";
import { JetStreamDeadLetters } from "./admin/dead-letters.ts";
import { listRunning } from "./admin/running-calls.ts";
import { countCalls } from "./admin/stats.ts";
import { listCalls } from "./admin/waiting-calls.ts";
import { WorkerContext } from "./background/worker-context.ts";
import { callBackAgain } from "./calls/callback-again.ts";
import { cancelCall } from "./calls/cancel.ts";
import { Intake } from "./calls/intake.ts";
import { findCall } from "./calls/lookup.ts";
import { purgeFunction } from "./calls/purge.ts";
import { SIGNALS } from "./client/names.ts";
import { type JetStreamQueueOptions, withDefaults } from "./options.ts";
import { fitToRoom, isClustered, refusalFor } from "./room-at-start.ts";
import type { ActivityReport } from "./store/activity.ts";
import { findAgain } from "./store/again-marks.ts";
import { waitingStatus } from "./store/callback-codec.ts";
import { outcomeOf, statusOf } from "./store/record.ts";
import { JetStreamConsumer } from "./worker/consumer.ts";

export type { NatsCredentials } from "../../nats/credentials.ts";
export type { JetStreamLimits, JetStreamQueueOptions } from "./options.ts";

const TELL_ACTIVITY_MS = 1000;

/**
 * A queue on NATS JetStream, shared by any number of processes. Streams are made when they are missing and changed when
 * their settings differ. See `docs/adr/0008-jetstream.md` for what lies where.
 * @throws {StartError} when the server is too old, or has too little room: naming what is needed and what there is
 * @throws {Error} naming the servers, when there is none, it refuses the login, or cannot have the streams
 */
export async function openJetStreamQueue(options: JetStreamQueueOptions): Promise<Queue> {
  const settings = withDefaults(options);
  const link = await openLink(settings, options.credentials);
  const tooOld = outdated(link.nc.info?.version ?? "");
  if (tooOld !== undefined) {
    await link.close();
    throw new StartError(`cannot keep the queue at NATS ${settings.servers}: ${tooOld}`);
  }
  if (options.onReconnect) link.onReconnect(options.onReconnect);
  let context: WorkerContext | undefined;
  try {
    context = new WorkerContext(link, await fitToRoom(link, settings, options.callLimits ?? {}));
    await openPatiently(context);
    context.server.renew();
    await context.server.known;
  } catch (cause) {
    const refusal = await refusalFor(cause, link, settings).catch(() => undefined);
    if (refusal) await context?.removeNewStreams();
    context?.publisher.close();
    await link.close();
    if (refusal) throw refusal;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the queue's streams cannot be made at NATS ${settings.servers}: ${reason}`, { cause });
  }
  return new JetStreamQueue(context);
}

/** What another process tries out is free again within moments; the servers of a cluster tell each other every few seconds. */
const FREE_AGAIN_MS = 1000;
const FREE_AGAIN_IN_CLUSTER_MS = 12_000;

/** A server removes the files of a stream after it has said that the stream is gone, and cannot make it anew meanwhile. */
const REMOVED_MS = 500;
const MAKE_TRIES = 6;

/** What has just been given back may not count as free yet, or may still be being removed. */
async function openPatiently(context: WorkerContext): Promise<void> {
  for (let triesLeft = MAKE_TRIES - 1; ; triesLeft--) {
    try {
      return await context.open();
    } catch (error) {
      const isBusy = isApiError(error, API_ERRORS.createFailed);
      if (triesLeft === 0 || !(isBusy || isShort(error))) throw error;
      if (isBusy) await sleep(REMOVED_MS);
      else {
        // Once is enough: whether there is room, a server knows by then.
        triesLeft = 1;
        await sleep(isClustered(context.link) ? FREE_AGAIN_IN_CLUSTER_MS : FREE_AGAIN_MS);
      }
    }
  }
}

class JetStreamQueue implements Queue {
  readonly maxBodyBytes: number;
  readonly maxResultBytes: number;
  readonly deadLetters: JetStreamDeadLetters;
  readonly #context: WorkerContext;
  readonly #intake: Intake;
  readonly #publishing = new Set<Promise<Receipt>>();
  readonly #telling: NodeJS.Timeout;
  #consumer: JetStreamConsumer | undefined;
  #closing: Promise<void> | undefined;

  constructor(context: WorkerContext) {
    this.#context = context;
    this.maxBodyBytes = context.settings.maxBodyBytes;
    this.maxResultBytes = context.settings.maxResultBytes;
    this.deadLetters = new JetStreamDeadLetters(context);
    this.#intake = new Intake(context);
    context.link.onReconnect(() => {
      const { version = "" } = context.link.nc.info ?? {};
      if (outdated(version) !== undefined) context.settings.log.warn({ version }, "this NATS server is too old");
      if (context.server.renew()) context.serverChanged();
    });
    this.#telling = this.#tellActivity();
  }

  publish(call: NewCall): Promise<Receipt> {
    if (this.#closing) return Promise.reject(new FaasError("unavailable", "the queue is closed"));
    const publishing = this.#intake.publish(call);
    this.#publishing.add(publishing);
    const forget = () => this.#publishing.delete(publishing);
    publishing.then(forget, forget);
    return publishing;
  }

  async consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer> {
    if (this.#closing) throw new FaasError("unavailable", "the queue is closed");
    if (this.#consumer) throw new FaasError("conflict", "this process has a consumer of the queue already");
    const consumer = new JetStreamConsumer(this.#context, deliver, options, () => {
      this.#consumer = undefined;
    });
    this.#consumer = consumer;
    consumer.start();
    return consumer;
  }

  async find(id: string): Promise<CallStatus | undefined> {
    const found = await findCall(this.#context, id);
    if (!found) return undefined;
    const status = statusOf(found.record, earliestNow());
    const again = found.record.told && (await findAgain(this.#context, found.record.id));
    return again ? { ...status, callback: waitingStatus(again, again.dueAt) } : status;
  }

  async result(id: string): Promise<Outcome | undefined> {
    const found = await findCall(this.#context, id);
    return found && outcomeOf(found.record, earliestNow());
  }

  async cancel(id: string): Promise<CallState | undefined> {
    return await cancelCall(this.#context, id);
  }

  async callBack(id: string): Promise<CallbackRequest> {
    return await callBackAgain(this.#context, id);
  }

  async purge(ref: FunctionRef): Promise<number> {
    return await purgeFunction(this.#context, ref);
  }

  async list(filter: CallFilter, page: Parameters<typeof listCalls>[2]): Promise<CallPage> {
    return await (filter.state === "running" ? listRunning : listCalls)(this.#context, filter, page);
  }

  async request(id: string, bodyBytes: number): Promise<CallRequest | undefined> {
    return await requestOf(this.#context, id, bodyBytes);
  }

  async stats(): Promise<QueueStats> {
    return await countCalls(this.#context, earliestNow());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#telling);
    await this.#consumer?.close(0); // else its timers would keep the process
    await Promise.allSettled(this.#publishing);
    this.#context.publisher.close();
    await this.#context.link.close();
  }

  /** What this process does with calls is known to it alone, so it tells the others. */
  #tellActivity(): NodeJS.Timeout {
    const { link, activity } = this.#context;
    const { self } = activity;
    link.nc.subscribe(SIGNALS.activity, {
      callback: (err, msg) => {
        if (err) return;
        const { process, lanes } = msg.json<ActivityReport>();
        if (process !== self) activity.hear(process, lanes, performance.now());
      },
    });
    let told = false;
    const timer = setInterval(() => {
      const functionQueues = activity.own(performance.now());
      const any = Object.keys(functionQueues).length > 0;
      const report: ActivityReport = { process: self, lanes: functionQueues };
      if (any || told) link.send({ subject: SIGNALS.activity, payload: JSON.stringify(report) });
      told = any;
    }, TELL_ACTIVITY_MS);
    timer.unref();
    return timer;
  }
}
