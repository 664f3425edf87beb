import type { ConnectionOptions, NatsConnection } from "nats";
import type { z } from "zod";
import { maybe } from "../../contract/decode.ts";
import { secretRef } from "../../contract/events/secret-ref.ts";
import { lineOf, loginSettings, oneOrMore, serverUrl, tlsSettings } from "../../contract/events/server-settings.ts";
import type { SecretTexts } from "./secret-texts.ts";

/** Where NATS is, and how to log in: with user and password, a token, or what a `.creds` file has. */
export const natsServers = {
  servers: oneOrMore(serverUrl("nats", "tls")),
  ...loginSettings,
  token: maybe(secretRef),
  creds: maybe(secretRef),
  tls: maybe(tlsSettings.omit({ serverName: true })),
};
export type NatsServers = z.output<z.ZodObject<typeof natsServers>>;

const subjectRule = "must be a subject: words joined by dots";

/** A subject with wildcards or without. */
export const natsSubject = lineOf("a subject", 1024).regex(/^[^\s.]+(\.[^\s.]+)*$/, { error: subjectRule });

/** Of a stream or consumer. */
export const natsName = lineOf("a name", 200).regex(/^[^\s.*>/\\]+$/, {
  error: "must be a name without spaces, dots, slashes and wildcards",
});

const CONNECT_MS = 5_000;

/** Connects once: when the connection is lost, its owner opens another one. */
export async function openNats(settings: NatsServers, name: string, secrets: SecretTexts): Promise<NatsConnection> {
  const { connect, credsAuthenticator } = await import("nats");
  const { user, password } = await secrets.login(settings);
  const options: ConnectionOptions = {
    servers: settings.servers,
    name,
    timeout: CONNECT_MS,
    reconnect: false,
    pingInterval: 10_000,
    noAsyncTraces: true,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    ...(settings.token && { token: await secrets.text(settings.token) }),
    ...(settings.creds && {
      authenticator: credsAuthenticator(new TextEncoder().encode(await secrets.text(settings.creds))),
    }),
    ...(settings.tls && { tls: await secrets.tls(settings.tls) }),
    ...(!settings.tls && settings.servers.some((server) => server.startsWith("tls:")) && { tls: {} }),
  };
  return await connect(options);
}

/** Fails when the connection is lost. */
export async function natsLost(connection: NatsConnection): Promise<never> {
  const error = await connection.closed();
  throw error ?? new Error("the connection was closed");
}

export function natsAt({ servers }: NatsServers): string {
  return `NATS at ${servers.slice(0, 3).join(", ")}`;
}
