import type { AsyncMessage, Channel } from "rabbitmq-client";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { lineOf, mediaType, oneOrMore, trueOrFalse, wholeNumber } from "../../../contract/events/server-settings.ts";
import { sleep } from "../../../kit/sleep.ts";
import { within } from "../../../kit/within.ts";
import { linkFailure } from "../../links/explain.ts";
import { encodingOf, keepBytes, rabbitAt, rabbitConnected, rabbitOptions, rabbitServer } from "../../links/rabbitmq.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { EmitTogether } from "../emit-together.ts";
import type { SourceContext, SourceType } from "../source.ts";
import { rabbitMessage } from "./rabbitmq-message.ts";

const queueName = lineOf("the name of a queue");

const rabbitSourceSettings = z.strictObject({
  ...rabbitServer,
  queues: oneOrMore(queueName, 20),
  /** Makes queues that are not there. Otherwise they have to be, and are taken as they are. */
  declare: maybe(
    z.strictObject({
      durable: maybe(trueOrFalse),
      autoDelete: maybe(trueOrFalse),
      exclusive: maybe(trueOrFalse),
      type: maybe(z.enum(["classic", "quorum"], { error: "must be classic or quorum" })),
      /** What the queues are bound to. */
      exchange: maybe(lineOf("the name of an exchange")),
      routingKeys: maybe(oneOrMore(lineOf("a routing key"))),
    }),
  ),
  /** Messages that are on their way at a time. */
  prefetch: maybe(wholeNumber(1, 1_000)),
  /** Of messages that do not say. */
  contentType: maybe(mediaType),
});
export type RabbitSourceSettings = z.output<typeof rabbitSourceSettings>;

/** As Knative's `parallelism`. */
const PREFETCH = 10;
const LAG_EVERY_MS = 10_000;
const CLOSE_MS = 3_000;
/** Before a message goes back that could not be stored: the queue would give it again at once. */
const BACK_AFTER_MS = 1_000;

/** Queues of RabbitMQ. A message is acknowledged once it is stored, and goes back to its queue when it cannot be. */
export const rabbitSource: SourceType<RabbitSourceSettings> = {
  type: "rabbitmq",
  shared: true,
  settings: rabbitSourceSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      await consume(settings, context, secrets);
    } catch (error) {
      if (!context.signal.aborted) throw linkFailure(rabbitAt(settings), error, secrets);
    }
  },
};

async function consume(settings: RabbitSourceSettings, context: SourceContext, secrets: SecretTexts): Promise<void> {
  const options = await rabbitOptions(settings, `faaslane ${context.namespace}/${context.name}`, secrets);
  const { Connection } = await import("rabbitmq-client");
  if (context.signal.aborted) return;
  const connection = new Connection(options);
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => {}); // also when nobody waits for it any more
  const stop = () => fail(new Error("the source stops"));
  context.signal.addEventListener("abort", stop, { once: true });
  const over = new AbortController();
  const channels: Channel[] = [];
  try {
    connection.on("error", fail);
    await Promise.race([rabbitConnected(connection), failed]);
    for (const queue of settings.queues) {
      const channel = await Promise.race([connection.acquire({ emitErrorsFromChannel: true }), failed]);
      channels.push(channel);
      channel.on("error", fail);
      // Whoever waits for an answer is told the reason, just after.
      channel.once("close", () => setImmediate(fail, new Error("the channel was closed")));
      channel.on("basic.cancel", () => fail(new Error(`the queue ${queue} is gone`)));
      await Promise.race([receive(channel, queue, settings, context), failed]);
    }
    context.connected();
    await Promise.race([watchLag(channels, settings, context, over.signal), failed]);
  } finally {
    context.signal.removeEventListener("abort", stop);
    over.abort();
    connection.on("error", () => {}); // it has been told
    // What is not acknowledged goes back to the queue with the channel.
    await within(CLOSE_MS, Promise.allSettled(channels.map((channel) => channel.close())));
    connection.unsafeDestroy();
  }
}

async function receive(
  channel: Channel,
  queue: string,
  settings: RabbitSourceSettings,
  context: SourceContext,
): Promise<void> {
  keepBytes(channel);
  await prepare(channel, queue, settings);
  await channel.basicQos({ prefetchCount: settings.prefetch ?? PREFETCH });
  const together = new EmitTogether(context);
  const declared = { namespace: context.namespace, name: context.name, contentType: settings.contentType };
  await channel.basicConsume({ queue }, (message) => {
    take(message, queue, declared, together, context)
      .then(
        (isStored) => settle(channel, message.deliveryTag, isStored ? "ack" : "refuse"),
        async (error: unknown) => {
          context.warn(error);
          await sleep(BACK_AFTER_MS, context.signal);
          settle(channel, message.deliveryTag, "back");
        },
      )
      .catch((error: unknown) => context.warn(error));
  });
}

/** Refused messages go where the queue's dead letters go. */
function settle(channel: Channel, deliveryTag: number, how: "ack" | "refuse" | "back"): void {
  if (!channel.active) return; // the server has it again
  if (how === "ack") channel.basicAck({ deliveryTag });
  else channel.basicNack({ deliveryTag, requeue: how === "back" });
}

async function take(
  message: AsyncMessage,
  queue: string,
  declared: Parameters<typeof rabbitMessage>[2],
  together: EmitTogether,
  context: SourceContext,
): Promise<boolean> {
  const { body } = message;
  if (!Buffer.isBuffer(body)) throw new Error("the client has changed a message");
  const contentEncoding = encodingOf(message.contentEncoding);
  const { problem, ...event } = rabbitMessage({ ...message, contentEncoding, body }, queue, declared);
  if (problem !== undefined) context.warn(problem);
  return await together.emit(event);
}

async function prepare(channel: Channel, queue: string, { declare }: RabbitSourceSettings): Promise<void> {
  if (!declare) {
    await channel.queueDeclare({ queue, passive: true });
    return;
  }
  const { durable = true, autoDelete = false, exclusive = false, type, exchange, routingKeys = [queue] } = declare;
  await channel.queueDeclare({
    queue,
    durable,
    autoDelete,
    exclusive,
    ...(type && { arguments: { "x-queue-type": type } }),
  });
  if (exchange === undefined) return;
  for (const routingKey of routingKeys) await channel.queueBind({ queue, exchange, routingKey });
}

async function watchLag(
  channels: readonly Channel[],
  { queues }: RabbitSourceSettings,
  context: SourceContext,
  over: AbortSignal,
): Promise<never> {
  for (;;) {
    let waiting = 0;
    for (const [place, queue] of queues.entries()) {
      const { messageCount = 0 } = (await channels[place]?.queueDeclare({ queue, passive: true })) ?? {};
      waiting += messageCount;
    }
    context.lag(waiting);
    await sleep(LAG_EVERY_MS, over);
    if (over.aborted) throw new Error("the source stops");
  }
}
