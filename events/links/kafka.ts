import type { BaseOptions } from "@platformatic/kafka";
import { z } from "zod";
import { maybe } from "../../contract/decode.ts";
import { choice, hostAndPort, loginSettings, oneOrMore, tlsSettings } from "../../contract/events/server-settings.ts";
import type { SecretTexts } from "./secret-texts.ts";

/** Where Kafka is, and how to log in. */
export const kafkaServers = {
  brokers: oneOrMore(hostAndPort),
  tls: maybe(tlsSettings),
  sasl: maybe(
    z.strictObject({
      mechanism: maybe(choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")),
      ...loginSettings,
    }),
  ),
};
export type KafkaServers = z.output<z.ZodObject<typeof kafkaServers>>;

/** Letters, digits, `.`, `_` and `-`. */
export const kafkaTopic = z
  .string({ error: "must be the name of a topic" })
  .regex(/^(?!\.{1,2}$)[-._a-zA-Z0-9]{1,249}$/, {
    error: "must be the name of a topic: 1 to 249 of letters, digits, dots, underscores and dashes",
  });

const CONNECT_MS = 5_000;
const REQUEST_MS = 15_000;

export async function kafkaOptions(settings: KafkaServers, clientId: string, secrets: SecretTexts) {
  const { brokers, tls, sasl } = settings;
  const login = sasl && (await secrets.login(sasl));
  return {
    clientId,
    bootstrapBrokers: brokers,
    connectTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    retries: 2,
    retryDelay: 500,
    ...(tls && { tls: await secrets.tls(tls), tlsServerName: tls.serverName ?? true }),
    ...(sasl &&
      login && {
        sasl: {
          mechanism: sasl.mechanism ?? "PLAIN",
          ...(login.user !== undefined && { username: login.user }),
          ...(login.password !== undefined && { password: login.password }),
        },
      }),
  } satisfies BaseOptions;
}

export function kafkaAt({ brokers }: KafkaServers): string {
  return `Kafka at ${brokers.slice(0, 3).join(", ")}`;
}
