import type { Message, SQSClient } from "@aws-sdk/client-sqs";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { lineOf, mediaType, wholeNumber } from "../../../contract/events/server-settings.ts";
import { sleep } from "../../../kit/sleep.ts";
import { within } from "../../../kit/within.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { awsFailure, awsOptions, awsSettings } from "../aws/aws-client.ts";
import { emitMessages, type MessageEvent } from "../emit-messages.ts";
import type { SourceContext, SourceType } from "../source.ts";
import { type SqsQueue, sqsMessage } from "./sqs-message.ts";

const sqsSettings = z.strictObject({
  /** Name or URL. */
  queue: lineOf("the name or URL of a queue", 1024),
  ...awsSettings,
  /** Seconds that the service waits for messages before it answers that there are none. */
  waitTime: maybe(wholeNumber(0, 20)),
  /** That come at a time. */
  maxMessages: maybe(wholeNumber(1, 10)),
  /** Seconds for which nobody else gets a message; longer where storing takes longer. */
  visibilityTimeout: maybe(wholeNumber(2, 43_200)),
  /** Of messages that do not say. */
  contentType: maybe(mediaType),
});
export type SqsSettings = z.output<typeof sqsSettings>;

const WAIT_SECONDS = 20;
const MAX_MESSAGES = 10;
const VISIBILITY_SECONDS = 30;
/** Beyond the time that the service waits. */
const ANSWER_MS = 15_000;
/** Batches on their way at a time: the next is fetched while others are stored. */
const MAX_BATCHES = 5;
const AGAIN_AFTER_MS = 1_000;
const LAG_EVERY_MS = 10_000;
const CLOSE_MS = 3_000;
/** Without waiting, an empty queue would be asked all the time. */
const IDLE_MS = 500;

/** A queue of SQS. A message is deleted once it is stored, and stays when it cannot be. */
export const sqsSource: SourceType<SqsSettings> = {
  type: "sqs",
  shared: true,
  settings: sqsSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      await consume(settings, context, secrets);
    } catch (error) {
      if (!context.signal.aborted) throw awsFailure(`SQS queue ${settings.queue}`, error, secrets);
    }
  },
};

async function consume(settings: SqsSettings, context: SourceContext, secrets: SecretTexts): Promise<void> {
  const { waitTime = WAIT_SECONDS } = settings;
  const options = await awsOptions(settings, secrets, waitTime * 1_000 + ANSWER_MS);
  const sdk = await import("@aws-sdk/client-sqs");
  if (context.signal.aborted) return;
  const client = new sdk.SQSClient(options);
  try {
    await new Queue(sdk, client, await findQueue(sdk, client, settings, context.signal), settings, context).read();
  } finally {
    client.destroy();
  }
}

type Sdk = typeof import("@aws-sdk/client-sqs");

async function findQueue(
  sdk: Sdk,
  client: SQSClient,
  { queue }: SqsSettings,
  abortSignal: AbortSignal,
): Promise<SqsQueue> {
  if (URL.canParse(queue)) return { url: queue, name: new URL(queue).pathname.split("/").at(-1) || queue };
  const { QueueUrl } = await client.send(new sdk.GetQueueUrlCommand({ QueueName: queue }), { abortSignal });
  if (QueueUrl === undefined) throw new Error("the queue has no URL");
  return { url: QueueUrl, name: queue };
}

class Queue {
  readonly #sdk: Sdk;
  readonly #client: SQSClient;
  readonly #queue: SqsQueue;
  readonly #settings: SqsSettings;
  readonly #context: SourceContext;
  readonly #visibleAfter: number;
  readonly #running = new Set<Promise<void>>();
  #storing: Promise<unknown> = Promise.resolve();
  #lagAskedAt = Number.NEGATIVE_INFINITY;

  constructor(sdk: Sdk, client: SQSClient, queue: SqsQueue, settings: SqsSettings, context: SourceContext) {
    this.#sdk = sdk;
    this.#client = client;
    this.#queue = queue;
    this.#settings = settings;
    this.#context = context;
    this.#visibleAfter = settings.visibilityTimeout ?? VISIBILITY_SECONDS;
  }

  async read(): Promise<void> {
    const { signal } = this.#context;
    const { promise: failed, reject: fail } = Promise.withResolvers<never>();
    failed.catch(() => {}); // also when nobody waits for it any more
    await this.#tellLag();
    this.#context.connected();
    try {
      while (!signal.aborted) {
        const messages = await Promise.race([this.#receive(), failed]);
        if (messages.length === 0 && this.#settings.waitTime === 0) await sleep(IDLE_MS, signal);
        if (messages.length > 0) {
          const running: Promise<void> = this.#take(messages)
            .catch(fail)
            .finally(() => this.#running.delete(running));
          this.#running.add(running);
        }
        if (this.#running.size >= MAX_BATCHES) await Promise.race([...this.#running, failed]);
        await this.#tellLag();
      }
    } finally {
      // What is stored is deleted still, or it would come again.
      await within(CLOSE_MS, Promise.all(this.#running));
    }
  }

  async #receive(): Promise<readonly Message[]> {
    const { waitTime = WAIT_SECONDS, maxMessages = MAX_MESSAGES } = this.#settings;
    const command = new this.#sdk.ReceiveMessageCommand({
      QueueUrl: this.#queue.url,
      WaitTimeSeconds: waitTime,
      MaxNumberOfMessages: maxMessages,
      VisibilityTimeout: this.#visibleAfter,
      MessageSystemAttributeNames: ["SentTimestamp"],
      MessageAttributeNames: ["content-type", "Content-Type", "contentType"],
    });
    const { Messages = [] } = await this.#client.send(command, { abortSignal: this.#context.signal });
    return Messages;
  }

  async #take(messages: readonly Message[]): Promise<void> {
    const over = new AbortController();
    const hidden = this.#keepHidden(messages, over.signal);
    try {
      const stored = await this.#store(messages);
      await this.#delete(stored);
    } finally {
      over.abort();
      await hidden;
    }
  }

  /** @returns those that may be deleted */
  async #store(messages: readonly Message[]): Promise<readonly Message[]> {
    const read = messages.map((message) => ({ message, events: this.#eventsOf(message) }));
    const all = read.flatMap(({ events }) => events);
    const { signal } = this.#context;
    // Messages that are given back come again at once, and after some times are dead letters.
    while (!signal.aborted) {
      try {
        const isStored = await this.#emit(all);
        const refused = new Set(all.filter((_event, place) => !isStored[place]));
        return read.filter(({ events }) => !events.some((event) => refused.has(event))).map(({ message }) => message);
      } catch (error) {
        this.#context.warn(error);
        await sleep(AGAIN_AFTER_MS, signal);
      }
    }
    return [];
  }

  /** One batch after another: the store is no faster with several. */
  async #emit(events: readonly MessageEvent[]): Promise<readonly boolean[]> {
    const before = this.#storing;
    const emitted = before.then(() => emitMessages(this.#context, events));
    this.#storing = emitted.catch(() => {});
    return await emitted;
  }

  #eventsOf({ MessageId = "", Body = "", Attributes = {}, MessageAttributes = {} }: Message): readonly MessageEvent[] {
    const { namespace, name } = this.#context;
    const type =
      MessageAttributes["content-type"] ?? MessageAttributes["Content-Type"] ?? MessageAttributes.contentType;
    const { events, problem } = sqsMessage(
      {
        id: MessageId,
        body: Body,
        contentType: type?.StringValue,
        sentAt: Number(Attributes.SentTimestamp) || undefined,
      },
      this.#queue,
      { namespace, name, contentType: this.#settings.contentType },
    );
    if (problem !== undefined) this.#context.warn(problem);
    return events;
  }

  async #delete(messages: readonly Message[]): Promise<void> {
    if (messages.length === 0) return;
    const { Failed = [] } = await this.#client.send(
      new this.#sdk.DeleteMessageBatchCommand({ QueueUrl: this.#queue.url, Entries: entriesOf(messages) }),
    );
    for (const { Code, Message: why } of Failed) {
      this.#context.warn(new Error(`a message that is stored could not be deleted, and comes again: ${why ?? Code}`));
    }
  }

  /** Nobody else is to get them while they are being stored. */
  async #keepHidden(messages: readonly Message[], over: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#visibleAfter * 500, over);
      if (over.aborted) return;
      const Entries = entriesOf(messages).map((entry) => ({ ...entry, VisibilityTimeout: this.#visibleAfter }));
      try {
        await this.#client.send(
          new this.#sdk.ChangeMessageVisibilityBatchCommand({ QueueUrl: this.#queue.url, Entries }),
        );
      } catch (error) {
        this.#context.warn(error);
      }
    }
  }

  async #tellLag(): Promise<void> {
    if (performance.now() - this.#lagAskedAt < LAG_EVERY_MS) return;
    this.#lagAskedAt = performance.now();
    const command = new this.#sdk.GetQueueAttributesCommand({
      QueueUrl: this.#queue.url,
      AttributeNames: ["ApproximateNumberOfMessages"],
    });
    try {
      const { Attributes = {} } = await this.#client.send(command, { abortSignal: this.#context.signal });
      this.#context.lag(Number(Attributes.ApproximateNumberOfMessages) || 0);
    } catch (error) {
      // Who may receive messages need not be allowed to count them.
      if (!/^AccessDenied/.test((error as Error).name)) throw error;
      this.#lagAskedAt = Number.POSITIVE_INFINITY;
    }
  }
}

function entriesOf(messages: readonly Message[]) {
  return messages.map(({ ReceiptHandle }, place) => ({ Id: String(place), ReceiptHandle }));
}
