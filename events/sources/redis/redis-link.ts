import type { RedisClientOptions, RedisClientType } from "@redis/client";
import type { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { loginSettings, serverUrl, tlsSettings } from "../../../contract/events/server-settings.ts";
import type { SecretTexts } from "../../links/secret-texts.ts";

/** Where Redis is, with the number of its database as the path, and how to log in. */
export const redisServer = {
  url: serverUrl("redis", "rediss"),
  ...loginSettings,
  tls: maybe(tlsSettings),
};
export type RedisServer = z.output<z.ZodObject<typeof redisServer>>;

const CONNECT_MS = 10_000;
/** Without a byte from a server that is asked every second. */
const SILENT_MS = 60_000;

export function redisAt({ url }: RedisServer): string {
  return `Redis at ${url}`;
}

/** A client that is not connected yet, and never connects again by itself: its owner opens another one. */
export async function openRedis(
  { url, user, password, tls }: RedisServer,
  name: string,
  secrets: SecretTexts,
): Promise<RedisClientType> {
  const login = await secrets.login({ user, password });
  const { protocol, hostname, port, pathname } = new URL(url);
  const isSecure = protocol === "rediss:" || tls !== undefined;
  const { createClient } = await import("@redis/client");
  return createClient({
    RESP: 2 as const,
    name: name.replace(/[^\x21-\x7e]/g, "-"),
    ...(login.user !== undefined && { username: login.user }),
    ...(login.password !== undefined && { password: login.password }),
    database: Number(/^\/(\d{1,5})$/.exec(pathname)?.[1] ?? 0),
    socket: {
      host: hostname.replace(/^\[(.*)\]$/, "$1"),
      port: Number(port || 6379),
      connectTimeout: CONNECT_MS,
      socketTimeout: SILENT_MS,
      reconnectStrategy: false,
      ...(isSecure && { tls: true, ...(tls && (await secrets.tls(tls))) }),
    } as NonNullable<RedisClientOptions["socket"]>,
  }) as unknown as RedisClientType;
}
