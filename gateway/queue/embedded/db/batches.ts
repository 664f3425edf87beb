import type { EmbeddedDatabase, Row } from "../../../../kit/embedded-database.ts";
import type { BatchProgress, FinalState } from "../../queue.ts";
import type { CallFacts } from "./calls.ts";

/** The lines are being made members; the members run; the end has been told. */
export const PHASE = { spreading: 0, running: 1, told: 2 } as const;

export interface StoredBatch {
  readonly seq: number;
  readonly phase: number;
  readonly published: number;
  /** Has been cancelled. */
  readonly ending: boolean;
  /** Times that its end was told in vain. */
  readonly failures: number;
  readonly progress: BatchProgress;
}

/** The call that was accepted for all of a batch, once its lines are members. */
export interface SpreadBatch
  extends StoredBatch,
    Pick<CallFacts, "key" | "attempts" | "acceptedAt" | "startedAt" | "notAfter" | "callId" | "idempotencyKey"> {
  readonly meta: string;
}

/** Batches and their members. To be changed inside a transaction. */
export class EmbeddedBatches {
  readonly #db: EmbeddedDatabase;

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
  }

  add(seq: number, size: number): void {
    this.#db.run("DELETE FROM members WHERE whole = ?", seq);
    this.#db.run(
      `INSERT OR REPLACE INTO batches (seq, phase, size, published, done, dead, cancelled, expired, ending)
       VALUES (?, 0, ?, 0, 0, 0, 0, 0, 0)`,
      seq,
      size,
    );
  }

  find(seq: number): StoredBatch | undefined {
    const row = this.#db.get("SELECT * FROM batches WHERE seq = ?", seq);
    return row && toBatch(row);
  }

  findSpread(seq: number): SpreadBatch | undefined {
    const row = this.#db.get("SELECT * FROM batches WHERE seq = ? AND phase <> 0", seq);
    if (!row) return undefined;
    return {
      ...toBatch(row),
      key: row.fn as string,
      attempts: row.attempts as number,
      acceptedAt: row.accepted as number,
      startedAt: (row.started as number | null) ?? undefined,
      notAfter: (row.not_after as number | null) ?? undefined,
      callId: (row.call_id as string | null) ?? undefined,
      idempotencyKey: (row.idem as string | null) ?? undefined,
      meta: row.meta as string,
    };
  }

  /** The lines are members now: the batch goes on without its body. */
  spread(call: CallFacts, attempts: number, startedAt: number | undefined, meta: string): void {
    this.#db.run(
      `UPDATE batches SET phase = 1, fn = ?, attempts = ?, accepted = ?, started = ?, not_after = ?, call_id = ?,
         idem = ?, meta = ? WHERE seq = ?`,
      call.key,
      attempts,
      call.acceptedAt,
      startedAt ?? null,
      call.notAfter ?? null,
      call.callId ?? null,
      call.idempotencyKey ?? null,
      meta,
      call.seq,
    );
  }

  failed(seq: number): void {
    this.#db.run("UPDATE batches SET failures = failures + 1 WHERE seq = ?", seq);
  }

  told(seq: number): void {
    this.#db.run("UPDATE batches SET phase = 2 WHERE seq = ?", seq);
  }

  /** What was not made a member will not be any more. */
  end(seq: number): void {
    this.#db.run(
      "UPDATE batches SET ending = 1, cancelled = cancelled + size - published WHERE seq = ? AND ending = 0",
      seq,
    );
  }

  member(whole: number, index: number): number | undefined {
    return this.#db.number("SELECT seq FROM members WHERE whole = ? AND place = ?", whole, index);
  }

  addMember(whole: number, index: number, seq: number): void {
    this.#db.run("INSERT INTO members (whole, place, seq) VALUES (?, ?, ?)", whole, index, seq);
    this.#db.run("UPDATE batches SET published = published + 1 WHERE seq = ?", whole);
  }

  /** Counts the end of a member. */
  ended(whole: number, state: FinalState): void {
    this.#db.run(`UPDATE batches SET ${state} = ${state} + 1 WHERE seq = ?`, whole);
  }

  /** Members after a line, in the order of lines. */
  members(whole: number, after: number, limit: number): { readonly index: number; readonly seq: number }[] {
    return this.#db
      .all("SELECT place, seq FROM members WHERE whole = ? AND place > ? ORDER BY place LIMIT ?", whole, after, limit)
      .map(({ place, seq }) => ({ index: place as number, seq: seq as number }));
  }

  /** Members after a line that have not ended, in the order of lines. */
  openMembers(whole: number, after: number, limit: number): { readonly index: number; readonly seq: number }[] {
    return this.#db
      .all(
        `SELECT place, members.seq FROM members CROSS JOIN calls ON calls.seq = members.seq
         WHERE members.whole = ? AND place > ? ORDER BY place LIMIT ?`,
        whole,
        after,
        limit,
      )
      .map(({ place, seq }) => ({ index: place as number, seq: seq as number }));
  }

  /** Those that have been cancelled, or have failed, and still have calls that have not ended. */
  ending(): number[] {
    return this.#db.numbers(
      `SELECT seq FROM batches WHERE ending = 1 AND EXISTS
           (SELECT 1 FROM members CROSS JOIN calls ON calls.seq = members.seq WHERE members.whole = batches.seq)`,
    );
  }

  forgetMember(whole: number, index: number): void {
    this.#db.run("DELETE FROM members WHERE whole = ? AND place = ?", whole, index);
  }

  forget(seq: number): void {
    this.#db.run("DELETE FROM batches WHERE seq = ?", seq);
    this.#db.run("DELETE FROM members WHERE whole = ?", seq);
  }

  /** Those whose end is to be told. */
  complete(): number[] {
    return this.#db
      .all("SELECT * FROM batches WHERE phase = 1")
      .map(toBatch)
      .filter(isComplete)
      .map(({ seq }) => seq);
  }
}

/** Whether all members have ended and no more can come. */
export function isComplete({ phase, progress }: StoredBatch): boolean {
  const { done, dead, cancelled, expired, size } = progress;
  return phase === PHASE.running && done + dead + cancelled + expired >= size;
}

function toBatch(row: Row): StoredBatch {
  const { seq, phase, published, ending, failures, size, done, dead, cancelled, expired } = row as Record<
    string,
    number
  >;
  return {
    seq: seq as number,
    phase: phase as number,
    published: published as number,
    ending: ending === 1,
    failures: failures as number,
    progress: { size, done, dead, cancelled, expired } as unknown as BatchProgress,
  };
}
