import { sleep } from "../../../../kit/sleep.ts";
import { latestNow } from "../../../../kit/steady-clock.ts";
import { within } from "../../../../kit/within.ts";
import { acknowledge, giveBack } from "../../../nats/pull.ts";
import { purgeSubject } from "../../../nats/stored-message.ts";
import type { Disposition, Outcome } from "../../queue.ts";
import { concludeAgain } from "../calls/callback-again.ts";
import { dropMembers } from "../calls/cancel.ts";
import { deadLetterCall } from "../calls/dead-message.ts";
import { endMember } from "../calls/member-end.ts";
import { moveToCoordinator } from "../calls/move.ts";
import { deadSubject, membersOf, plainSubject, SIGNALS, STREAMS } from "../client/names.ts";
import { writeAlias } from "../store/aliases.ts";
import type { StoredCall } from "../store/call-codec.ts";
import { givenUp, waitingStatus } from "../store/callback-codec.ts";
import type { Context } from "../store/context.ts";
import type { Conclusion, HeldCall } from "../store/held-call.ts";
import { bucketOf, bucketToken, laterSubject } from "../store/later-bucket.ts";
import { type CallRecord, moveId, nextMove, waitingRecord } from "../store/record.ts";

type Retry = Extract<Disposition, { kind: "retry" }>;
type PutOff = Extract<Disposition, { kind: "callback" }>;

const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 5000;
/** For an attempt that was aborted, and waits at most for calls that it has published. */
const MAX_STOP_MS = 5000;

/** What becomes of a call is stored before its message goes, so that a crash in between leaves the message behind. */
export class Settlement {
  readonly #context: Context;
  readonly #underWay = new Set<Promise<void>>();

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Carried out for as long as it takes; meanwhile the message stays in hand.
   * @param after what is to be waited for, and never rejects
   * @returns when it has been
   */
  settle(held: HeldCall, conclusion: Conclusion, stop: AbortSignal, after?: Promise<unknown>): Promise<void> {
    const settling = after
      ? after.then(() => this.#persist(held, conclusion, stop))
      : this.#persist(held, conclusion, stop);
    this.#underWay.add(settling);
    void settling.then(() => this.#underWay.delete(settling));
    return settling;
  }

  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** Never rejects. When stopped, the message comes again, to somebody else. */
  async #persist(held: HeldCall, conclusion: Conclusion, stop: AbortSignal): Promise<void> {
    for (let waitMs = MIN_WAIT_MS; ; waitMs = Math.min(MAX_WAIT_MS, waitMs * 2)) {
      try {
        return await this.#conclude(held, conclusion);
      } catch (err) {
        if (stop.aborted) return;
        if (waitMs === MIN_WAIT_MS) {
          this.#context.settings.log.warn({ err, callId: held.id }, "what became of a call cannot be stored yet");
        }
        await sleep(waitMs * (0.5 + Math.random()), stop);
      }
    }
  }

  async #conclude(held: HeldCall, conclusion: Conclusion): Promise<void> {
    const { callback } = held.stored;
    if (callback?.again) return await concludeAgain(this.#context, held, callback, conclusion);
    switch (conclusion.kind) {
      case "back":
        return await this.#handBack(held);
      case "stale":
        if (conclusion.finished) return await this.#over(held, conclusion.finished);
        return acknowledge(this.#context.link, held.delivery);
      case "retry":
        return await this.#retry(held, conclusion);
      case "callback":
        return await this.#putOffCallback(held, conclusion);
      case "done":
        if (held.stored.call.batch?.kind === "whole") return await this.#expanded(held);
        break;
      case "dead":
        await deadLetterCall(this.#context, held, conclusion.reason, attemptsOf(held, conclusion), conclusion.outcome);
    }
    const record = this.#finalRecord(held, conclusion);
    const first = await this.#context.records.finish(record);
    const counts = first ? record : await this.#context.records.findFinished(held.id);
    if (conclusion.kind === "dead" && counts && counts.state !== "dead") {
      // It was cancelled in the same moment.
      await purgeSubject(this.#context.link, STREAMS.dead, deadSubject(held.functionQueue, held.id));
    }
    await this.#over(held, counts ?? record);
    this.#context.activity.finished(plainSubject(held.delivery.subject), performance.now());
  }

  #finalRecord(
    held: HeldCall,
    conclusion: Exclude<Conclusion, { kind: "back" | "stale" | "retry" | "callback" }>,
  ): CallRecord {
    const { settings } = this.#context;
    const {
      location: _l,
      handBacks: _h,
      nextAttemptAt: _n,
      callback: _c,
      ...before
    } = held.open ?? waitingRecord(held.stored, held.id);
    const finishedAt = Date.now();
    const outcome = "outcome" in conclusion && conclusion.outcome ? this.#kept(conclusion.outcome) : before.outcome;
    const waiting = conclusion.kind === "dead" ? held.stored.callback : undefined;
    const told = ("callback" in conclusion && conclusion.callback) || (waiting && givenUp(waiting));
    return {
      ...before,
      state: conclusion.kind,
      attempts: attemptsOf(held, conclusion),
      finishedAt,
      ...(held.startedAt !== undefined && { startedAt: held.startedAt }),
      ...(conclusion.kind === "dead" && { reason: conclusion.reason }),
      ...(told && { told }),
      ...(outcome && { outcome }),
      ...(outcome?.result && { resultUntil: latestNow() + settings.resultTtlMs }),
    };
  }

  /** Without a result that is not to be kept. */
  #kept(outcome: Outcome): Outcome {
    const { resultTtlMs, maxResultBytes } = this.#context.settings;
    const { status, durationMs, result } = outcome;
    if (!result || resultTtlMs === 0 || result.body.byteLength > maxResultBytes) return { status, durationMs };
    return { status, durationMs, result };
  }

  /** The call has ended: what belongs to it goes, its message last but one. */
  async #over(held: HeldCall, record: CallRecord): Promise<void> {
    const { link, records } = this.#context;
    const { stored, id } = held;
    const { batch, idempotencyKey, requestPrint, function: name, namespace } = stored.call;
    if (batch?.kind === "whole" && record.state === "cancelled") await this.#dropMembers(held);
    if (batch?.kind === "member") {
      await endMember(this.#context, batch, record);
    } else if (idempotencyKey !== undefined) {
      // Its publisher may have died before.
      const key = { kind: "key", function: { name, namespace }, key: idempotencyKey } as const;
      await writeAlias(this.#context, key, id, requestPrint);
    }
    await held.running;
    // Of a call that has moved there may be a record that was not there yet when it was looked up.
    if (held.running || held.open || stored.id !== undefined) await records.removeOpen(id);
    acknowledge(link, held.delivery);
    await this.#context.removeBodies(stored, record.state === "dead");
  }

  /** Once no more can be published. */
  async #dropMembers({ id, delivering }: HeldCall): Promise<void> {
    await within(MAX_STOP_MS, Promise.allSettled([delivering]));
    await dropMembers(this.#context, id);
    await purgeSubject(this.#context.link, STREAMS.members, membersOf(id));
  }

  async #retry(held: HeldCall, { afterMs, outcome, counted, refused }: Retry): Promise<void> {
    const { stored } = held;
    const attempts = stored.attempts + (counted === false ? 0 : 1);
    const { refused: before, ...rest } = stored;
    const streak = { refused: { times: (before?.times ?? 0) + 1, since: before?.since ?? Date.now() } };
    await this.#wait(held, { ...rest, attempts, ...(refused && streak) }, afterMs, outcome);
  }

  /** The answer is stored with the call, which waits for nothing but its callback from here on. */
  async #putOffCallback(held: HeldCall, { afterMs, callback }: PutOff): Promise<void> {
    const { stored } = held;
    const { refused: _, callback: before, ...rest } = stored;
    // What has expired was not tried.
    const counted = !before && callback.state !== "expired";
    const { tries, failure, outcome } = callback;
    const waiting = before ? { ...before, tries, ...(failure !== undefined && { failure }) } : callback;
    const moved = { ...rest, attempts: stored.attempts + (counted ? 1 : 0), callback: waiting };
    const { status, durationMs } = outcome;
    await this.#wait(held, moved, afterMs, counted ? { status, durationMs } : undefined);
  }

  /** @param outcome of the attempt that has ended, if one has */
  async #wait(held: HeldCall, call: StoredCall, afterMs: number, outcome: Outcome | undefined): Promise<void> {
    if (!Number.isFinite(afterMs)) throw new TypeError(`afterMs is ${afterMs}`);
    const { publisher, records, link, settings } = this.#context;
    const { stored, id, delivery } = held;
    const { attempts, callback } = call;
    await held.running;
    const now = Date.now();
    const dueAt = now + Math.max(0, afterMs);
    const bucket = bucketOf(dueAt, now);
    const moves = nextMove(stored, held.open);
    const moved = { ...call, id, moves, dueAt };
    const at = await publisher.publish(
      laterSubject(bucket, held.functionQueue),
      await this.#context.encodeFitting(moved),
      {
        id: moveId(id, delivery),
      },
    );
    const { outcome: last, nextAttemptAt: _, ...record } = held.open ?? waitingRecord(stored, id);
    const shown = outcome ? this.#kept(outcome) : last;
    await records.putOpen({
      ...record,
      state: "waiting",
      attempts,
      ...(callback ? { callback: waitingStatus(callback, dueAt) } : { nextAttemptAt: dueAt }),
      ...(held.startedAt !== undefined && { startedAt: held.startedAt }),
      ...(shown && { outcome: shown }),
      ...(shown?.result && { resultUntil: latestNow() + settings.resultTtlMs }),
      location: { stream: STREAMS.later, seq: at.seq, moves },
    });
    acknowledge(link, delivery);
    link.send({ subject: SIGNALS.later, payload: bucketToken(bucket) });
  }

  async #expanded({ id, stored, delivery, open, startedAt, running }: HeldCall): Promise<void> {
    const { link, bodies } = this.#context;
    await running;
    const before = open ?? waitingRecord(stored, id);
    const started = { ...before, ...(startedAt !== undefined && { startedAt }) };
    await moveToCoordinator(this.#context, { id, place: delivery, stored, open: started });
    acknowledge(link, delivery);
    if (!(stored.body instanceof Uint8Array)) await bodies.remove(stored.body);
  }

  /** Is written down, so that it is not taken for a worker that vanished. */
  async #handBack({ delivery, stored, id, open, running }: HeldCall): Promise<void> {
    await running;
    const before = open ?? waitingRecord(stored, id);
    const times = (open?.handBacks?.seq === delivery.seq ? open.handBacks.times : 0) + 1;
    await this.#context.records.putOpen({ ...before, state: "waiting", handBacks: { seq: delivery.seq, times } });
    giveBack(this.#context.link, delivery);
  }
}

function attemptsOf({ stored, startedAt }: HeldCall, { kind }: Conclusion): number {
  return stored.attempts + ((kind === "done" || kind === "dead") && startedAt !== undefined ? 1 : 0);
}
