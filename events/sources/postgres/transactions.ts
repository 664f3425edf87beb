import type { Pgoutput } from "pg-logical-replication";
import { lsnOf } from "./lsn.ts";
import type { RowChange, TableRow } from "./postgres-message.ts";
import type { RowAction, WantsChange } from "./table-filter.ts";

/** What one message of the log means: a change, or that everything up to a place has been told. */
export type LogItem = { readonly change: RowChange } | { readonly told: bigint };

/** Arrays whose texts the client's own parser reads without loss. */
const ARRAYS: ReadonlySet<number> = new Set([1000, 1005, 1007, 1009, 1015]);
const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === "t",
  20: exactNumber,
  21: Number,
  23: Number,
  26: Number,
  114: JSON.parse,
  700: finiteNumber,
  701: finiteNumber,
  3802: JSON.parse,
};

/** Follows the transactions of a log message by message, each of which comes as a whole once it is committed. */
export class Transactions {
  readonly #wants: WantsChange;
  #open: { readonly lsn: bigint; readonly commitMs: number } | undefined;
  #ordinal = 0;

  constructor(wants: WantsChange) {
    this.#wants = wants;
  }

  /** Whether the end of a transaction is still to come. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  read(message: Pgoutput.Message): LogItem | undefined {
    switch (message.tag) {
      case "begin":
        this.#open = { lsn: lsnOf(message.commitLsn ?? "0/0"), commitMs: millisecondsOf(message.commitTime) };
        this.#ordinal = 0;
        return undefined;
      case "commit":
        this.#open = undefined;
        return { told: lsnOf(message.commitEndLsn ?? "0/0") };
      case "relation":
        // The client keeps this object, and reads the rows by it.
        for (const column of message.columns) if (!ARRAYS.has(column.typeOid)) column.parser = parserOf(column.typeOid);
        return undefined;
      case "insert":
        return this.#change("insert", message.relation, message.new, {});
      case "update":
        return this.#change("update", message.relation, message.new, oldRow(message));
      case "delete":
        return this.#change("delete", message.relation, {}, oldRow(message));
      default:
        return undefined; // it tells of no row
    }
  }

  #change(
    action: RowAction,
    { schema, name: table }: Pgoutput.MessageRelation,
    data: TableRow,
    dataOld: TableRow,
  ): LogItem | undefined {
    if (!this.#open) throw new Error("a change came outside of a transaction");
    // What nobody wants is counted too: a number stays what it is when the filters change.
    const ordinal = ++this.#ordinal;
    if (!this.#wants(schema, table, action)) return undefined;
    return { change: { ...this.#open, ordinal, schema, table, action, data, dataOld } };
  }
}

/** As OpenFaaS's connector has it: of a row that is known by its key, the other columns are null. */
function oldRow({ relation, key, old }: Pick<Pgoutput.MessageUpdate, "relation" | "key" | "old">): TableRow {
  if (old) return old;
  if (!key) return {};
  return Object.fromEntries(relation.columns.map(({ name }) => [name, key[name] ?? null]));
}

function parserOf(typeOid: number): (text: string) => unknown {
  return PARSERS[typeOid] ?? String;
}

/** A number that JSON would round stays a text. */
function exactNumber(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
}

function finiteNumber(text: string): number | string {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}

/** @param time microseconds */
function millisecondsOf(time: unknown): number {
  return Number((time as bigint) / 1000n);
}
