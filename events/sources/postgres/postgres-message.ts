import { ConnectorHeaders } from "../connector-headers.ts";
import type { MessageEvent } from "../emit-messages.ts";
import { eventOfMessage, sourceUri } from "../plain-message.ts";
import { lsnText, paddedLsn } from "./lsn.ts";
import type { RowAction } from "./table-filter.ts";

export type TableRow = Readonly<Record<string, unknown>>;

/** What a transaction did to one row. */
export interface RowChange {
  /** Where the log has the transaction's end. */
  readonly lsn: bigint;
  /** Its number in the transaction, from 1. */
  readonly ordinal: number;
  /** Milliseconds since the epoch. */
  readonly commitMs: number;
  readonly schema: string;
  readonly table: string;
  readonly action: RowAction;
  /** The row as it is now; nothing of one that was deleted. */
  readonly data: TableRow;
  /** What is known of the row as it was. */
  readonly dataOld: TableRow;
}

interface Declared {
  readonly namespace: string;
  readonly name: string;
  readonly database: string;
}

/** The event of a change. Its place in the log names it, so that it is the same when it is read again. */
export function postgresMessage(change: RowChange, declared: Declared): MessageEvent {
  const { lsn, ordinal, commitMs, schema, table, action, data, dataOld } = change;
  const id = `${lsnText(lsn)}/${ordinal}`;
  const commitTime = new Date(commitMs).toISOString();
  const topic = `${table}:${action}`;
  const event = eventOfMessage({
    type: `com.faaslane.postgres.${action}`,
    source: sourceUri("postgressources", declared, declared.database),
    id,
    subject: `${schema}.${table}`,
    timeMs: commitMs,
    contentType: "application/json",
    extensions: { sequence: `${paddedLsn(lsn)}/${String(ordinal).padStart(10, "0")}` },
    data: Buffer.from(JSON.stringify({ id, schema, table, action, data, dataOld, commitTime })),
  });
  const headers = new ConnectorHeaders("openfaasltd/postgres-connector", topic)
    .add("X-Event-Action", action)
    .add("X-Event-Table", table)
    .add("X-Event-Id", id)
    .add("X-Message-Id", id);
  return { event, topic, headers: headers.list, from: `${schema}.${table} at ${id}` };
}
