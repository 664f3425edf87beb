import type { Producer } from "@platformatic/kafka";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { choice, lineOf } from "../../../contract/events/server-settings.ts";
import { within } from "../../../kit/within.ts";
import { attributeText, type CloudEvent } from "../../codec/cloud-event.ts";
import { encodeKafka } from "../../codec/messages.ts";
import { explainFailure, linkFailure } from "../../links/explain.ts";
import { kafkaAt, kafkaOptions, kafkaServers, kafkaTopic } from "../../links/kafka.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { unlessAborted } from "../abortable.ts";
import { nameFor, nameTemplate } from "../name-template.ts";
import type { OpenSink, SinkType } from "../sink.ts";

const WHAT = "the name of a topic";
const isTopic = (name: string) => kafkaTopic.safeParse(name).success;

const kafkaSinkSettings = z.strictObject({
  ...kafkaServers,
  topic: nameTemplate(WHAT, isTopic),
  format: maybe(choice("binary", "structured")),
  /** The attribute that is the record's key, where the event has it: records of one key keep their order. */
  key: maybe(
    lineOf("the name of an attribute", 64).regex(/^[a-z0-9]+$/, { error: "must be the name of an attribute" }),
  ),
});
export type KafkaSinkSettings = z.output<typeof kafkaSinkSettings>;

const CLOSE_MS = 3_000;
/** All replicas that are in step have it. */
const ALL = -1;
/** What no later try will change. */
const FOR_EVER = /MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD|INVALID_TOPIC|POLICY_VIOLATION/;

/** Topics of Kafka. An event has been sent once all of Kafka's replicas that are in step have it. */
export const kafkaSink: SinkType<KafkaSinkSettings> = {
  type: "kafka",
  settings: kafkaSinkSettings,
  open: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    const options = await kafkaOptions(settings, `faaslane-${context.namespace}-${context.name}`, secrets);
    const { Producer } = await import("@platformatic/kafka");
    const producer = new Producer({ ...options, acks: ALL, autocreateTopics: false });
    try {
      await producer.metadata({ topics: [] });
    } catch (error) {
      await closed(producer);
      throw linkFailure(kafkaAt(settings), error, secrets);
    }
    return sinkOf(producer, settings, secrets);
  },
};

function sinkOf(producer: Producer, settings: KafkaSinkSettings, secrets: SecretTexts): OpenSink {
  const { topic, format, key = "partitionkey" } = settings;
  const send = async (event: CloudEvent) => {
    const { headers, value } = encodeKafka(event, format === "structured");
    const keyValue = event.attributes[key];
    const record = {
      topic: nameFor(topic, event, WHAT, isTopic),
      headers: new Map([...headers].map(([name, bytes]) => [Buffer.from(name), bytes] as const)),
      ...(value && { value }),
      ...(keyValue !== undefined && { key: Buffer.from(attributeText(keyValue)) }),
    };
    try {
      await producer.send({ messages: [record], acks: ALL });
      return { status: 200 };
    } catch (error) {
      const why = JSON.stringify([explainFailure(error), apiIds(error)]);
      if (FOR_EVER.test(why)) return { status: 400, error: secrets.redact(explainFailure(error)) };
      throw linkFailure(kafkaAt(settings), error, secrets);
    }
  };
  return {
    send: (event, signal) => unlessAborted(send(event), signal),
    close: () => closed(producer),
  };
}

/** Kafka's names of what went wrong. */
function apiIds(thrown: unknown): unknown[] {
  if (!(thrown instanceof Error)) return [];
  const { apiId, errors } = thrown as { apiId?: unknown; errors?: unknown };
  return [apiId, ...(Array.isArray(errors) ? errors.flatMap(apiIds) : []), ...apiIds(thrown.cause)];
}

async function closed(producer: Producer): Promise<void> {
  await within(CLOSE_MS, Promise.resolve(producer.close(true))).catch(() => {}); // it is away
}
