import type { Message, MessagesStream } from "@platformatic/kafka";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { choice, lineOf, mediaType, oneOrMore, wholeNumber } from "../../../contract/events/server-settings.ts";
import { within } from "../../../kit/within.ts";
import { linkFailure } from "../../links/explain.ts";
import { kafkaAt, kafkaOptions, kafkaServers, kafkaTopic } from "../../links/kafka.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { emitMessages } from "../emit-messages.ts";
import type { SourceContext, SourceType } from "../source.ts";
import { kafkaMessage } from "./kafka-message.ts";

const kafkaSourceSettings = z.strictObject({
  ...kafkaServers,
  topics: oneOrMore(kafkaTopic),
  /** Members of a group share the partitions; `faaslane-NAMESPACE-NAME` when absent. */
  group: maybe(lineOf("a consumer group", 200)),
  /** Where a group starts that has read nothing yet. */
  initialOffset: maybe(choice("earliest", "latest", "oldest", "newest")),
  /** Of records that do not say. */
  contentType: maybe(mediaType),
  /** Records that are stored together at most. */
  batch: maybe(wholeNumber(1, 1_000)),
  sessionTimeoutMs: maybe(wholeNumber(3_000, 1_800_000)),
});
export type KafkaSourceSettings = z.output<typeof kafkaSourceSettings>;

const DEFAULT_BATCH = 100;
const MAX_BATCH_BYTES = 4 * 1024 ** 2;
const SESSION_MS = 30_000;
/** A fetch returns after it with what there is, which is when a new topic or an end is seen. */
const FETCH_WAIT_MS = 1_000;
const FETCH_BYTES = 16 * 1024 ** 2;
/** Records that were fetched and wait. */
const READ_AHEAD = 512;
const LAG_EVERY_MS = 10_000;
const CLOSE_MS = 3_000;

type Bytes = Buffer<ArrayBufferLike>;
type Fetched = Message<Bytes, Bytes, Bytes, Bytes>;
type Records = MessagesStream<Bytes, Bytes, Bytes, Bytes>;

/** Topics of Kafka. What a group has committed is stored here, so that nothing is lost; what is fetched again is the same event. */
export const kafkaSource: SourceType<KafkaSourceSettings> = {
  type: "kafka",
  shared: true,
  settings: kafkaSourceSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      await consume(settings, context, secrets);
    } catch (error) {
      if (!context.signal.aborted) throw linkFailure(kafkaAt(settings), error, secrets);
    }
  },
};

async function consume(settings: KafkaSourceSettings, context: SourceContext, secrets: SecretTexts): Promise<void> {
  const { topics, initialOffset = "earliest", batch = DEFAULT_BATCH, sessionTimeoutMs = SESSION_MS } = settings;
  const { Consumer } = await import("@platformatic/kafka");
  const consumer = new Consumer({
    ...(await kafkaOptions(settings, `faaslane-${context.namespace}-${context.name}`, secrets)),
    groupId: settings.group ?? `faaslane-${context.namespace}-${context.name}`,
    autocommit: false,
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: sessionTimeoutMs,
    heartbeatInterval: Math.min(3_000, sessionTimeoutMs / 3),
    maxBytes: FETCH_BYTES,
    maxWaitTime: FETCH_WAIT_MS,
    highWaterMark: READ_AHEAD,
  });
  let records: Records | undefined;
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  stopped.catch(() => {}); // also when nobody waits for it any more
  const stop = () => {
    reject(new Error("the source stops"));
    records?.destroy();
  };
  context.signal.addEventListener("abort", stop, { once: true });
  try {
    consumer.on("consumer:lag", (lag) => context.lag(sumOf(lag.values())));
    const starts = initialOffset === "latest" || initialOffset === "newest" ? "latest" : "earliest";
    if (context.signal.aborted) return;
    // Joining takes as long as the others of the group do.
    const joining = consumer.consume({ topics, mode: "committed", fallbackMode: starts });
    joining.then(
      (late) => context.signal.aborted && late.destroy(),
      () => {},
    );
    records = await Promise.race([joining, stopped]);
    context.connected();
    consumer.startLagMonitoring({ topics }, LAG_EVERY_MS);
    for await (const fetched of batches(records, batch)) await take(fetched, settings, context, consumer.assignments);
    if (!context.signal.aborted) throw new Error("the connection was closed");
  } finally {
    context.signal.removeEventListener("abort", stop);
    consumer.stopLagMonitoring();
    records?.destroy();
    await within(CLOSE_MS, Promise.resolve(consumer.close(true))).catch(() => {}); // it is away, or was never there
  }
}

/** What has been fetched, together. */
async function* batches(records: Records, most: number): AsyncGenerator<Fetched[]> {
  let fetched: Fetched[] = [];
  let bytes = 0;
  for await (const record of records) {
    fetched.push(record);
    bytes += record.value?.length ?? 0;
    if (fetched.length < most && bytes < MAX_BATCH_BYTES && records.readableLength > 0) continue;
    yield fetched;
    fetched = [];
    bytes = 0;
  }
}

/** Stores records, and only then commits, of each partition up to the last one. */
async function take(
  fetched: readonly Fetched[],
  settings: KafkaSourceSettings,
  context: SourceContext,
  assignments: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null,
): Promise<void> {
  const declared = { namespace: context.namespace, name: context.name, contentType: settings.contentType };
  const messages = fetched.map((record) => kafkaMessage(record, declared));
  for (const { problem } of messages) if (problem !== undefined) context.warn(problem);
  await emitMessages(context, messages);
  const last = new Map(fetched.map((record) => [`${record.topic}/${record.partition}`, record]));
  // What another member of the group has got meanwhile is its to commit: it may be further already.
  const ours = [...last.values()].filter(({ topic, partition }) =>
    assignments?.some((assigned) => assigned.topic === topic && assigned.partitions.includes(partition)),
  );
  await Promise.all(ours.map((record) => record.commit()));
}

/** Below zero is what is not ours, or not known. */
function sumOf(lags: Iterable<readonly bigint[]>): number {
  let sum = 0;
  for (const partitions of lags) for (const lag of partitions) if (lag > 0n) sum += Number(lag);
  return sum;
}
