import { checkServerIdentity } from "node:tls";
import type { Client } from "pg";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { lineOf, loginSettings, tlsSettings, wholeNumber } from "../../../contract/events/server-settings.ts";
import type { SecretTexts } from "../../links/secret-texts.ts";

/** Where PostgreSQL is, and how to log in. */
export const postgresServer = {
  host: lineOf("a host name or an address", 253).regex(/^[^\s/]+$/, { error: "must be a host name or an address" }),
  port: maybe(wholeNumber(1, 65_535)),
  database: lineOf("the name of a database", 63),
  ...loginSettings,
  tls: maybe(tlsSettings),
};
export type PostgresServer = z.output<z.ZodObject<typeof postgresServer>>;

/** Names that are the same with and without quotes. */
export const plainName = z
  .string({ error: "must be a name" })
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, { error: "must be 1 to 63 lower-case letters, digits and underscores" });

const DEFAULT_PORT = 5432;
const CONNECT_MS = 10_000;

export function postgresAt({ host, port = DEFAULT_PORT, database }: PostgresServer): string {
  return `PostgreSQL at ${host}:${port}/${database}`;
}

/** A client for replication that is not connected yet. */
export async function openPostgres(
  { host, port = DEFAULT_PORT, database, user, password, tls }: PostgresServer,
  secrets: SecretTexts,
): Promise<Client> {
  const login = await secrets.login({ user, password });
  const { default: pg } = await import("pg");
  const options = {
    host,
    port,
    database,
    user: login.user ?? "postgres",
    // As a function, so that none is taken from the environment or a file.
    password: () => login.password ?? "",
    ssl: tls ? await tlsOptions(tls, secrets) : false,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    application_name: "faaslane",
    replication: "database",
  };
  return new pg.Client(options);
}

async function tlsOptions(tls: NonNullable<PostgresServer["tls"]>, secrets: SecretTexts) {
  const { servername, ...texts } = await secrets.tls(tls);
  return {
    ...texts,
    // The client always asks for its host by name, so the certificate is compared here.
    ...(servername !== undefined && {
      checkServerIdentity: (_host: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
        checkServerIdentity(servername, certificate),
    }),
  };
}
