import type { MqttClient } from "mqtt";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { choice, trueOrFalse, wholeNumber } from "../../../contract/events/server-settings.ts";
import { within } from "../../../kit/within.ts";
import type { CloudEvent } from "../../codec/cloud-event.ts";
import { encodeMqtt } from "../../codec/messages.ts";
import { linkFailure } from "../../links/explain.ts";
import { mqttAt, mqttConnected, mqttOptions, mqttServer, mqttTopic } from "../../links/mqtt.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { unlessAborted } from "../abortable.ts";
import { nameFor, nameTemplate } from "../name-template.ts";
import type { OpenSink, SinkType } from "../sink.ts";

const WHAT = "a topic without wildcards";
const isTopic = (name: string) =>
  mqttTopic.safeParse(name).success && !/[+#]/.test(name) && !name.startsWith("$share/");

const mqttSinkSettings = z
  .strictObject({
    ...mqttServer,
    topic: nameTemplate(WHAT, isTopic),
    qos: maybe(wholeNumber(0, 2)),
    retain: maybe(trueOrFalse),
    /** Of MQTT 5; events are always structured in 3.1.1. */
    format: maybe(choice("binary", "structured")),
  })
  .refine(({ version, format }) => version !== "3.1.1" || format !== "binary", {
    error: "must be structured with version 3.1.1, whose messages have no properties",
    path: ["format"],
  });
export type MqttSinkSettings = z.output<typeof mqttSinkSettings>;

const CLOSE_MS = 2_000;
/** Reason codes from there on are failures. */
const FAILURE = 128;
const TOO_LARGE = 149;
const INVALID_FORMAT = 153;
const INVALID_TOPIC = 144;

/** Topics of MQTT. With QoS 1 and 2 an event has been sent once the server has acknowledged it; with 0 it is at most once. */
export const mqttSink: SinkType<MqttSinkSettings> = {
  type: "mqtt",
  settings: mqttSinkSettings,
  open: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    const options = await mqttOptions(settings, secrets);
    const { connect } = (await import("mqtt")).default;
    const client = connect(settings.url, {
      ...options,
      clean: true,
      ...(settings.clientId !== undefined && { clientId: settings.clientId }),
    });
    try {
      await mqttConnected(client);
    } catch (error) {
      await closed(client);
      throw linkFailure(mqttAt(settings), error, secrets);
    }
    return sinkOf(client, settings, secrets);
  },
};

function sinkOf(client: MqttClient, settings: MqttSinkSettings, secrets: SecretTexts): OpenSink {
  const { topic, qos = 1, retain = false, format = "binary", version = "5" } = settings;
  const { promise: lost, reject: lose } = Promise.withResolvers<never>();
  lost.catch(() => {}); // whoever sends next is told
  client.on("error", lose);
  client.on("close", () => lose(new Error("the connection was closed")));
  const send = async (event: CloudEvent) => {
    const { payload, contentType, userProperties } = encodeMqtt(event, format === "structured" || version === "3.1.1");
    const properties = {
      ...(contentType !== undefined && { contentType }),
      ...(userProperties && { userProperties: userProperties as Record<string, string> }),
    };
    const name = nameFor(topic, event, WHAT, isTopic);
    try {
      await Promise.race([
        client.publishAsync(name, payload, {
          qos: qos as 0 | 1 | 2,
          retain,
          ...(version === "5" && { properties }),
        }),
        lost,
      ]);
      return { status: 200 };
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === TOO_LARGE || code === INVALID_FORMAT || code === INVALID_TOPIC) {
        return { status: 400, error: secrets.redact((error as Error).message) };
      }
      // The connection is sound all the same.
      if (typeof code === "number" && code >= FAILURE) {
        return { status: 503, error: secrets.redact((error as Error).message) };
      }
      throw linkFailure(mqttAt(settings), error, secrets);
    }
  };
  return { send: (event, signal) => unlessAborted(send(event), signal), close: () => closed(client) };
}

async function closed(client: MqttClient): Promise<void> {
  client.on("error", () => {}); // it has been told
  await within(CLOSE_MS, client.endAsync(client.connected !== true)).catch(() => {});
}
