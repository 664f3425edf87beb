import type { Channel, Connection, ConnectionOptions } from "rabbitmq-client";
import type { z } from "zod";
import { maybe } from "../../contract/decode.ts";
import { loginSettings, serverUrl, tlsSettings } from "../../contract/events/server-settings.ts";
import type { SecretTexts } from "./secret-texts.ts";

/** Where RabbitMQ is, with its virtual host as the path, and how to log in. */
export const rabbitServer = {
  url: serverUrl("amqp", "amqps"),
  ...loginSettings,
  tls: maybe(tlsSettings),
};
export type RabbitServer = z.output<z.ZodObject<typeof rabbitServer>>;

const CONNECT_MS = 10_000;
const HEARTBEAT_SECONDS = 20;
/** Its owner opens another one long before. */
const NO_RETRY_MS = 3_600_000;

export async function rabbitOptions(
  { url, user, password, tls }: RabbitServer,
  name: string,
  secrets: SecretTexts,
): Promise<ConnectionOptions> {
  const login = await secrets.login({ user, password });
  const { protocol, hostname, port, pathname } = new URL(url);
  const isSecure = protocol === "amqps:" || tls !== undefined;
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port || (isSecure ? 5671 : 5672),
    vhost: decodeURIComponent(pathname.slice(1)) || "/",
    username: login.user ?? "guest",
    password: login.password ?? "guest",
    ...(isSecure && { tls: tls ? await secrets.tls(tls) : true }),
    connectionName: name,
    connectionTimeout: CONNECT_MS,
    acquireTimeout: CONNECT_MS,
    heartbeat: HEARTBEAT_SECONDS,
    retryLow: NO_RETRY_MS,
    retryHigh: NO_RETRY_MS,
    noDelay: true,
  };
}

export function rabbitAt({ url }: RabbitServer): string {
  return `RabbitMQ at ${url}`;
}

/** Resolves once the server has let the client in. @throws why it has not */
export function rabbitConnected(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once("connection", resolve);
    connection.once("error", reject);
  });
}

interface HeaderFrame {
  readonly fields: { contentType?: string | undefined; contentEncoding?: string | undefined };
}

const AS_BYTES = "x-faaslane-bytes";

/**
 * Has a channel give bodies as the bytes they are. The client parses JSON and decodes text unless the message says that
 * it has an encoding, so each is given one on its way in; {@link encodingOf} takes it off again.
 */
export function keepBytes(channel: Channel): void {
  const inner = channel as unknown as { _onHeader(frame: HeaderFrame): void };
  const onHeader = inner._onHeader.bind(channel);
  inner._onHeader = (frame) => {
    frame.fields.contentEncoding ||= AS_BYTES;
    onHeader(frame);
  };
}

/** The encoding that a message has said. */
export function encodingOf(contentEncoding: string | undefined): string | undefined {
  return contentEncoding === AS_BYTES ? undefined : contentEncoding;
}
