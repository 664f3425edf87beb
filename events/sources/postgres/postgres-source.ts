import type { Client } from "pg";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { oneOrMore, trueOrFalse } from "../../../contract/events/server-settings.ts";
import { within } from "../../../kit/within.ts";
import { linkFailure } from "../../links/explain.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { emitMessages } from "../emit-messages.ts";
import type { SourceContext, SourceType } from "../source.ts";
import { ChangeFeed } from "./change-feed.ts";
import { openPostgres, plainName, postgresAt, postgresServer } from "./postgres-link.ts";
import { postgresMessage } from "./postgres-message.ts";
import { tableFilter, wantedBy } from "./table-filter.ts";
import { Transactions } from "./transactions.ts";

const postgresSourceSettings = z.strictObject({
  ...postgresServer,
  /** Says which tables are told of; has to be there. */
  publication: plainName,
  /** Keeps the place in the log. */
  slot: plainName,
  /** Makes the slot where it is not there: changes from then on are told. */
  createSlot: maybe(trueOrFalse),
  /** Those of the publication's changes that are wanted; all when absent. */
  tables: maybe(oneOrMore(tableFilter)),
});
export type PostgresSourceSettings = z.output<typeof postgresSourceSettings>;

const CLOSE_MS = 3_000;

/** Changes of rows in PostgreSQL, out of its log. The log is kept by the server until they are stored. */
export const postgresSource: SourceType<PostgresSourceSettings> = {
  type: "postgres",
  settings: postgresSourceSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      await consume(settings, context, secrets);
    } catch (error) {
      if (!context.signal.aborted) throw linkFailure(postgresAt(settings), error, secrets);
    }
  },
};

async function consume(settings: PostgresSourceSettings, context: SourceContext, secrets: SecretTexts): Promise<void> {
  const client = await openPostgres(settings, secrets);
  client.on("error", () => {}); // whoever waits for an answer is told
  const end = () => within(CLOSE_MS, client.end()).catch(() => {}); // it is away, or was never there
  const { PgoutputPlugin } = await import("pg-logical-replication");
  if (context.signal.aborted) return;
  context.signal.addEventListener("abort", end, { once: true });
  try {
    await client.connect();
    await prepare(client, settings);
    const { namespace, name } = context;
    const declared = { namespace, name, database: settings.database };
    const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [settings.publication] });
    const feed = new ChangeFeed(client, plugin, new Transactions(wantedBy(settings.tables)), {
      started: context.connected,
      take: async (changes) => {
        await emitMessages(
          context,
          changes.map((change) => postgresMessage(change, declared)),
        );
      },
    });
    await feed.run(client, settings.slot);
  } finally {
    context.signal.removeEventListener("abort", end);
    await end();
  }
}

/** Names are plain: they need no quotes, and a connection for replication takes no parameters. */
async function prepare(client: Client, { publication, slot, createSlot }: PostgresSourceSettings): Promise<void> {
  await client.query("SET client_encoding TO 'UTF8'");
  const published = await client.query(`SELECT 1 FROM pg_publication WHERE pubname = '${publication}'`);
  if (published.rows.length === 0) throw new Error(`there is no publication ${publication}`);
  if (!createSlot) return;
  const slots = await client.query(`SELECT 1 FROM pg_replication_slots WHERE slot_name = '${slot}'`);
  if (slots.rows.length > 0) return;
  await client.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
}
