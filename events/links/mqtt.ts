import type { IClientOptions, MqttClient } from "mqtt";
import type { z } from "zod";
import { maybe } from "../../contract/decode.ts";
import { choice, lineOf, loginSettings, serverUrl, tlsSettings } from "../../contract/events/server-settings.ts";
import type { SecretTexts } from "./secret-texts.ts";

/** Where MQTT's server is, and how to log in. */
export const mqttServer = {
  url: serverUrl("mqtt", "mqtts", "ws", "wss"),
  version: maybe(choice("5", "3.1.1")),
  ...loginSettings,
  tls: maybe(tlsSettings),
  /** Of this client alone: two of one name put each other out. */
  clientId: maybe(lineOf("a client id", 128)),
};
export type MqttServer = z.output<z.ZodObject<typeof mqttServer>>;

const MAX_TOPIC_BYTES = 65_535;

/** Topics may be long, but each is a text of one line. */
export const mqttTopic = lineOf("a topic", MAX_TOPIC_BYTES);

const FILTER_RULE = "must be a topic filter: # ends it, and # and + are whole levels";

/** What is subscribed to. */
export const mqttFilter = mqttTopic.refine(isFilter, { error: FILTER_RULE });

function isFilter(text: string): boolean {
  const shared = /^\$share\/([^/+#]+)\/(.+)$/s.exec(text);
  if (text.startsWith("$share/") && !shared) return false;
  const levels = (shared?.[2] ?? text).split("/");
  return levels.every((level, place) =>
    level.includes("#") ? level === "#" && place === levels.length - 1 : level === "+" || !level.includes("+"),
  );
}

const CONNECT_MS = 10_000;
const KEEPALIVE_SECONDS = 30;

/** Options of a client that does not come back by itself: its owner opens another one. */
export async function mqttOptions(
  { user, password, tls, version = "5" }: MqttServer,
  secrets: SecretTexts,
): Promise<IClientOptions> {
  const login = await secrets.login({ user, password });
  return {
    protocolVersion: version === "5" ? 5 : 4,
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: CONNECT_MS,
    keepalive: KEEPALIVE_SECONDS,
    ...(login.user !== undefined && { username: login.user }),
    ...(login.password !== undefined && { password: login.password }),
    ...(tls && (await secrets.tls(tls))),
  };
}

export function mqttAt({ url }: MqttServer): string {
  return `MQTT at ${url}`;
}

/** What the server has said to a connection. */
export interface Connack {
  readonly sessionPresent: boolean;
}

/**
 * Resolves once the server has let the client in.
 * @throws why it has not
 */
export function mqttConnected(client: MqttClient): Promise<Connack> {
  return new Promise((resolve, reject) => {
    client.once("connect", ({ sessionPresent }) => resolve({ sessionPresent }));
    client.once("error", reject);
    client.once("close", () => reject(new Error("the connection was closed")));
  });
}
