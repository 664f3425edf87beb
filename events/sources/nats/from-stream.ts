import type { Consumer, JetStreamManager, JsMsg, NatsConnection } from "nats";
import { sleep } from "../../../kit/sleep.ts";
import { EmitTogether } from "../emit-together.ts";
import type { SourceContext } from "../source.ts";
import { natsMessage } from "./nats-message.ts";
import type { NatsSourceSettings } from "./nats-settings.ts";

const PREFETCH = 100;
const ACK_WAIT_SECONDS = 30;
/** Before a message is given again that could not be stored. */
const AGAIN_AFTER_MS = 1_000;
const LAG_EVERY_MS = 10_000;
const CONSUMER_NOT_FOUND = 10014;
const NANOS_PER_MS = 1_000_000;
/** After which the consumer or its stream is no more. */
const GONE = ["consumer_deleted", "consumer_not_found", "stream_not_found", "no_responders"];

/**
 * Reads a stream by a durable consumer. A message is acknowledged once it is stored.
 * @param over aborts when the connection is about to be closed
 */
export async function receiveFromStream(
  connection: NatsConnection,
  stream: string,
  settings: NatsSourceSettings,
  durable: string,
  context: SourceContext,
  over: AbortSignal,
): Promise<void> {
  const manager = await connection.jetstreamManager();
  await ensureConsumer(manager, stream, durable, settings);
  const consumer = await connection.jetstream().consumers.get(stream, durable);
  const messages = await consumer.consume({ max_messages: settings.prefetch ?? PREFETCH });
  // Otherwise it looks after its heartbeat for ever.
  if (over.aborted) messages.stop();
  over.addEventListener("abort", () => messages.stop(), { once: true });
  context.connected();
  const together = new EmitTogether(context);
  const receiving = (async () => {
    for await (const message of messages) {
      take(message, settings, together, context).catch((error: unknown) => context.warn(error));
    }
    throw new Error("the consumer ended");
  })();
  const watching = (async () => {
    for await (const { type } of await messages.status()) {
      if (GONE.includes(type)) throw new Error(`the consumer ${durable} of the stream ${stream} is gone (${type})`);
    }
    throw new Error("the consumer ended");
  })();
  await Promise.race([receiving, watching, watchLag(consumer, context, over)]);
}

async function ensureConsumer(
  manager: JetStreamManager,
  stream: string,
  durable: string,
  { subjects, deliver = "all", prefetch = PREFETCH, ackWaitSeconds = ACK_WAIT_SECONDS }: NatsSourceSettings,
): Promise<void> {
  const { AckPolicy, DeliverPolicy, NatsError } = await import("nats");
  try {
    await manager.consumers.info(stream, durable);
  } catch (error) {
    const isMissing = error instanceof NatsError && error.api_error?.err_code === CONSUMER_NOT_FOUND;
    if (!isMissing) throw error;
    await manager.consumers.add(stream, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: deliver === "new" ? DeliverPolicy.New : DeliverPolicy.All,
      ack_wait: ackWaitSeconds * 1000 * NANOS_PER_MS,
      max_ack_pending: prefetch,
      max_deliver: -1,
      ...(subjects?.length === 1 && subjects[0] !== undefined && { filter_subject: subjects[0] }),
      ...(subjects && subjects.length > 1 && { filter_subjects: subjects }),
    });
  }
}

async function take(
  message: JsMsg,
  { contentType }: NatsSourceSettings,
  together: EmitTogether,
  context: SourceContext,
): Promise<void> {
  const { stream, streamSequence, timestampNanos } = message.info;
  const declared = { namespace: context.namespace, name: context.name, contentType };
  const received = { subject: message.subject, headers: message.headers, payload: Buffer.from(message.data) };
  // With its time, as a stream of the same name may have been there before.
  const place = { id: `${stream}/${streamSequence}/${timestampNanos}`, timeMs: timestampNanos / NANOS_PER_MS };
  const { problem, ...event } = natsMessage(received, place, declared);
  if (problem !== undefined) context.warn(problem);
  try {
    if (await together.emit(event)) message.ack();
    else message.term("it cannot be stored");
  } catch (error) {
    context.warn(error);
    message.nak(AGAIN_AFTER_MS);
  }
}

async function watchLag(consumer: Consumer, context: SourceContext, over: AbortSignal): Promise<never> {
  for (;;) {
    const { num_pending: pending, num_ack_pending: unacknowledged } = await consumer.info();
    context.lag(pending + unacknowledged);
    await sleep(LAG_EVERY_MS, over);
    if (over.aborted) throw new Error("the source stops");
  }
}
