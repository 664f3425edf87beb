import { randomUUID } from "node:crypto";
import type { IPublishPacket, MqttClient } from "mqtt";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { FaasError } from "../../../contract/errors.ts";
import { mediaType, oneOrMore, trueOrFalse, wholeNumber } from "../../../contract/events/server-settings.ts";
import { within } from "../../../kit/within.ts";
import { linkFailure } from "../../links/explain.ts";
import { mqttAt, mqttConnected, mqttFilter, mqttOptions, mqttServer } from "../../links/mqtt.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { emitMessages } from "../emit-messages.ts";
import type { SourceContext, SourceType } from "../source.ts";
import { mqttMessage } from "./mqtt-message.ts";
import { PacketNames } from "./packet-names.ts";

const mqttSourceSettings = z.strictObject({
  ...mqttServer,
  /** With `+` and `#`; `$share/GROUP/FILTER` to share with other clients. */
  topics: oneOrMore(mqttFilter),
  qos: maybe(wholeNumber(0, 2)),
  /** The server forgets the session with the connection, and what it sent meanwhile is lost. */
  clean: maybe(trueOrFalse),
  /** How long the server keeps the session without a connection; of MQTT 5. */
  sessionExpirySeconds: maybe(wholeNumber(0, 2 ** 32 - 1)),
  /** Messages that the server sends before the first one is acknowledged; of MQTT 5. */
  prefetch: maybe(wholeNumber(1, 65_535)),
  /** Of messages that do not say. */
  contentType: maybe(mediaType),
});
export type MqttSourceSettings = z.output<typeof mqttSourceSettings>;

const SESSION_SECONDS = 24 * 3600;
const PREFETCH = 100;
const CLOSE_MS = 2_000;
/** Codes of SUBACK from which on it is a refusal. */
const REFUSED = 128;

/** Topics of MQTT. A message is acknowledged once it is stored; with QoS 0 there is nothing to acknowledge, and it comes at most once. */
export const mqttSource: SourceType<MqttSourceSettings> = {
  type: "mqtt",
  settings: mqttSourceSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      await subscribe(settings, context, secrets);
    } catch (error) {
      if (!context.signal.aborted) throw linkFailure(mqttAt(settings), error, secrets);
    }
  },
};

async function subscribe(settings: MqttSourceSettings, context: SourceContext, secrets: SecretTexts): Promise<void> {
  const { url, topics, clean = false, version = "5" } = settings;
  const names = new PacketNames(await context.cursor.load());
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => {}); // also when nobody waits for it any more
  const options = await mqttOptions(settings, secrets);
  const { connect, Store } = (await import("mqtt")).default;
  if (context.signal.aborted) return;
  let isReady: (() => void) | undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const take = async (packet: IPublishPacket): Promise<void> => {
    await ready;
    await store(packet, names, { ...settings, version }, context);
  };
  // Where the client puts a message with QoS 2 before PUBREC. From then on it is ours: the server never sends it again.
  const incoming = new Store({ clean: true });
  const put = incoming.put.bind(incoming);
  incoming.put = (packet, done) => {
    take(packet as IPublishPacket).then(() => put(packet, done), fail);
    return incoming;
  };
  const client = connect(url, {
    ...options,
    clientId: settings.clientId ?? `faaslane-${context.namespace}-${context.name}`,
    clean,
    ...(version === "5" && {
      properties: {
        receiveMaximum: settings.prefetch ?? PREFETCH,
        sessionExpiryInterval: clean ? 0 : (settings.sessionExpirySeconds ?? SESSION_SECONDS),
      },
    }),
    incomingStore: incoming,
  });
  // Called before PUBACK, one after another; the server sends no more than it may until they are acknowledged.
  client.handleMessage = (packet, done) => {
    if (packet.qos === 2) done();
    else take(packet).then(() => done(), fail);
  };
  const stop = () => fail(new Error("the source stops"));
  context.signal.addEventListener("abort", stop, { once: true });
  try {
    client.on("error", fail);
    client.on("close", () => fail(new Error("the connection was closed")));
    const { sessionPresent } = await Promise.race([mqttConnected(client), failed]);
    const before = sessionPresent ? names.topics : [];
    names.begin(sessionPresent, topics, randomUUID());
    await context.cursor.save(names.text);
    isReady?.();
    await Promise.race([renew(client, settings, before), failed]);
    context.connected();
    await failed;
  } finally {
    context.signal.removeEventListener("abort", stop);
    client.on("error", () => {}); // it has been told
    // Without a word, so that the server keeps what is not acknowledged.
    await within(CLOSE_MS, client.endAsync(true));
  }
}

/** Subscribes, and takes back what the session is still subscribed to. @throws {FaasError} naming a topic that is refused */
async function renew(
  client: MqttClient,
  { topics, qos = 1, version = "5" }: MqttSourceSettings,
  before: readonly string[],
): Promise<void> {
  const old = before.filter((topic) => !topics.includes(topic));
  if (old.length > 0) await client.unsubscribeAsync(old);
  // Retained messages only for what is subscribed to for the first time.
  const how = { qos: qos as 0 | 1 | 2, ...(version === "5" && { rh: 1 }) };
  const granted = await client.subscribeAsync(Object.fromEntries(topics.map((topic) => [topic, how])));
  const refused = granted.find((each) => (each.qos as number) >= REFUSED);
  if (refused) throw new FaasError("unavailable", `MQTT: the server refuses a subscription to ${refused.topic}`);
}

async function store(
  packet: IPublishPacket,
  names: PacketNames,
  settings: MqttSourceSettings & { readonly version: "5" | "3.1.1" },
  context: SourceContext,
): Promise<void> {
  const { contentType, version } = settings;
  let id: string = randomUUID();
  if (packet.qos > 0) {
    const { name, isNewRound } = names.name(packet.messageId as number, packet.dup);
    if (isNewRound) await context.cursor.save(names.text);
    id = name;
  }
  const declared = { namespace: context.namespace, name: context.name, contentType, version };
  const { topic, retain, properties } = packet;
  const payload = Buffer.from(packet.payload);
  const { problem, ...message } = mqttMessage(
    { topic, retain, payload, ...(properties && { properties }) },
    id,
    declared,
  );
  if (problem !== undefined) context.warn(problem);
  // "Exactly once" is what it was sent with.
  await emitMessages(context, [packet.qos === 2 ? { ...message, once: `mqtt/${id}` } : message]);
}
