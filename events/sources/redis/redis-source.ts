import { hostname } from "node:os";
import type { RedisClientType } from "@redis/client";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { choice, lineOf, oneOrMore, wholeNumber } from "../../../contract/events/server-settings.ts";
import { linkFailure } from "../../links/explain.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { emitMessages } from "../emit-messages.ts";
import type { SourceContext, SourceType } from "../source.ts";
import { ConsumerGroup, type PendingEntry } from "./consumer-group.ts";
import { openRedis, redisAt, redisServer } from "./redis-link.ts";
import { redisMessage } from "./redis-message.ts";

const redisSourceSettings = z.strictObject({
  ...redisServer,
  streams: oneOrMore(lineOf("the name of a stream"), 20),
  /** Members of a group share the entries; `faaslane-NAMESPACE-NAME` when absent. */
  group: maybe(lineOf("a consumer group", 200)),
  /** Where a group starts that has read nothing yet. */
  start: maybe(choice("earliest", "latest")),
  /** Entries that are stored together at most. */
  batch: maybe(wholeNumber(1, 1_000)),
  /** After which what another member has not acknowledged is taken from it. */
  claimAfterSeconds: maybe(wholeNumber(1, 86_400)),
});
export type RedisSourceSettings = z.output<typeof redisSourceSettings>;

const DEFAULT_BATCH = 100;
const CLAIM_SECONDS = 30;
/** After it the source looks after what others have left, when nothing comes. */
const BLOCK_MS = 1_000;
const LAG_EVERY_MS = 10_000;

/** Streams of Redis. An entry is acknowledged once it is stored; what a dead process had is taken over. */
export const redisSource: SourceType<RedisSourceSettings> = {
  type: "redis",
  shared: true,
  settings: redisSourceSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      await consume(settings, context, secrets);
    } catch (error) {
      if (!context.signal.aborted) throw linkFailure(redisAt(settings), error, secrets);
    }
  },
};

async function consume(settings: RedisSourceSettings, context: SourceContext, secrets: SecretTexts): Promise<void> {
  const owner = `faaslane-${context.namespace}-${context.name}`;
  const client = await openRedis(settings, owner, secrets);
  if (context.signal.aborted) return;
  client.on("error", () => {}); // whoever waits for an answer is told
  const stop = () => client.destroy();
  try {
    await client.connect();
    context.signal.addEventListener("abort", stop, { once: true });
    const group = new ConsumerGroup(
      await sender(client),
      settings.streams,
      settings.group ?? owner,
      `${hostname()}-${process.pid}-${context.namespace}-${context.name}`,
    );
    await group.make(settings.start ?? "earliest");
    context.connected();
    await read(group, settings, context);
  } finally {
    context.signal.removeEventListener("abort", stop);
    if (client.isOpen) client.destroy();
  }
}

async function sender(client: RedisClientType) {
  const { RESP_TYPES } = await import("@redis/client");
  const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer };
  return (args: readonly string[]) => client.sendCommand<unknown>(args, { typeMapping } as object);
}

async function read(group: ConsumerGroup, settings: RedisSourceSettings, context: SourceContext): Promise<void> {
  const { batch = DEFAULT_BATCH, claimAfterSeconds = CLAIM_SECONDS } = settings;
  const idleMs = claimAfterSeconds * 1_000;
  // What was read before the connection was lost, or the store was away.
  for (;;) {
    const entries = await group.own(batch);
    if (entries.length === 0) break;
    await take(entries, group, context);
  }
  let nextClaim = 0;
  let nextLag = 0;
  while (!context.signal.aborted) {
    const now = performance.now();
    if (now >= nextClaim) {
      const left = await group.claim(batch, idleMs);
      await take(left, group, context);
      // There may be more of them.
      nextClaim = left.length > 0 ? 0 : now + Math.min(idleMs, LAG_EVERY_MS);
    }
    if (now >= nextLag) {
      const lag = await group.lag();
      if (lag !== undefined) context.lag(lag);
      nextLag = now + LAG_EVERY_MS;
    }
    await take(await group.next(batch, BLOCK_MS), group, context);
  }
}

/** Stores entries, and only then acknowledges them. */
async function take(entries: readonly PendingEntry[], group: ConsumerGroup, context: SourceContext): Promise<void> {
  if (entries.length === 0) return;
  const messages = entries.flatMap(({ stream, id, fields }) => {
    if (fields) return [redisMessage({ stream, id, fields }, context)];
    context.warn(new Error(`${stream}/${id} was removed from its stream before it was read`));
    return [];
  });
  for (const { problem } of messages) if (problem !== undefined) context.warn(problem);
  await emitMessages(context, messages);
  await group.acknowledge(entries);
}
