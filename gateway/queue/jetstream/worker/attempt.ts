import { setTimeout as delay } from "node:timers/promises";
import type { Deliver, Disposition, Place } from "../../queue.ts";
import type { StartOrder } from "../../worker/start-order.ts";
import { lookUpPast } from "../calls/past.ts";
import { BodyLostError } from "../store/bodies.ts";
import { queuedCall } from "../store/call-codec.ts";
import type { Context } from "../store/context.ts";
import type { Conclusion, HeldCall } from "../store/held-call.ts";
import { countLeft } from "../store/left-marks.ts";
import { waitingRecord } from "../store/record.ts";

/** Between this machine and the server's. */
const CLOCK_SKEW_MS = 5000;
/** Most calls are done by then and need no record that they run. */
const SHOW_RUNNING_MS = 200;
/** An attempt that throws is tried again after 1 s, doubling up to a minute, and not for ever. */
const THROWN_MIN_WAIT_MS = 1000;
const THROWN_MAX_WAIT_MS = 60_000;
const THROWN_MAX_ATTEMPTS = 20;
/** Before what could not be looked up is given to somebody else. */
const TROUBLE_WAIT_MS = 500;

/**
 * Tries a call unless it is over already. Never rejects.
 * @param order of the calls of its function
 */
export async function attempt(
  context: Context,
  held: HeldCall,
  deliver: Deliver,
  place: Place,
  order: StartOrder,
): Promise<Conclusion> {
  if (held.cancelled) return { kind: "cancelled" };
  const { body: stored } = held.stored;
  // Most calls have all they need, and wait for nobody.
  const ready = stored instanceof Uint8Array && !mayBePast(context, held) && order.idle ? stored : undefined;
  const turn = ready ? undefined : order.join();
  let conclusion: Conclusion;
  try {
    const body = ready ?? (await prepare(context, held));
    await turn?.come;
    if (!(body instanceof Uint8Array)) {
      conclusion = body;
    } else if (held.abort.signal.aborted) {
      conclusion = { kind: "back" };
    } else {
      const running = run(context, held, body, deliver, place);
      turn?.pass();
      conclusion = await running;
    }
  } catch (err) {
    context.settings.log.warn({ err, callId: held.id }, "a call cannot be looked up; it is handed back");
    turn?.pass();
    await delay(TROUBLE_WAIT_MS);
    return { kind: "back" };
  } finally {
    turn?.pass();
  }
  if (held.cancelled && conclusion.kind !== "stale") return { kind: "cancelled" };
  if (held.abort.signal.aborted) return conclusion.kind === "stale" ? conclusion : { kind: "back" };
  return conclusion;
}

/** Whether the call of a message may be over or have moved on: the message comes again, or took the place of another. */
function mayBePast({ server }: Context, { delivery, stored }: HeldCall): boolean {
  // A server that was killed may have forgotten the last of what had been acknowledged.
  const outlived = delivery.storedAt < server.since + CLOCK_SKEW_MS;
  // A batch that was cancelled leaves its message to whoever gets it, to look for members then.
  const whole = stored.call.batch?.kind === "whole";
  return delivery.deliveries > 1 || stored.id !== undefined || outlived || whole;
}

/** @returns the body, unless the call is not to be tried */
async function prepare(context: Context, held: HeldCall): Promise<Uint8Array | Conclusion> {
  const past = mayBePast(context, held) ? await checkPast(context, held) : undefined;
  if (past) return past;
  try {
    return await context.bodyOf(held.stored);
  } catch (error) {
    if (error instanceof BodyLostError) return { kind: "dead", reason: `it cannot be read: ${error.message}` };
    throw error;
  }
}

async function checkPast(context: Context, held: HeldCall): Promise<Conclusion | undefined> {
  const { settings } = context;
  const { delivery, stored, id } = held;
  const past = await lookUpPast(context, id, delivery, stored);
  if (past.kind === "ended") return { kind: "stale", finished: past.record };
  if (past.kind === "moved") return { kind: "stale" };
  const open = past.record;
  held.open = open;
  const handBacks = open?.handBacks?.seq === delivery.seq ? open.handBacks.times : 0;
  const interruptions = delivery.deliveries - 1 - handBacks;
  // Looked up where it matters only.
  const tooMany = (times: number) => times >= settings.limits.maxInterruptions;
  if (tooMany(interruptions) && tooMany(delivery.deliveries - 1 - (await countLeft(context, delivery)))) {
    return { kind: "dead", reason: `its attempts were cut off ${interruptions} times` };
  }
  return undefined;
}

async function run(
  context: Context,
  held: HeldCall,
  body: Uint8Array,
  deliver: Deliver,
  place: Place,
): Promise<Disposition> {
  const { stored, id, abort } = held;
  const { notAfter, callbackUrl } = stored.call;
  const startedAt = Date.now();
  // Whoever is to be called back is told that it expired, by who gets it delivered.
  if (notAfter !== undefined && startedAt > notAfter && callbackUrl === undefined) return { kind: "expired" };
  held.startedAt = startedAt;
  const number = stored.attempts + 1;
  const timer = setTimeout(() => {
    held.running = showRunning(context, held);
  }, SHOW_RUNNING_MS);
  try {
    const delivering = deliver(queuedCall(stored, id, body), number, abort.signal, place);
    held.delivering = delivering;
    return await delivering;
  } catch (err) {
    if (abort.signal.aborted) return { kind: "retry", afterMs: 0 }; // handed back or cancelled, see above
    const { queue: _, ...ref } = held.lane;
    context.settings.log.error({ err, callId: id, ...ref, attempt: number }, "delivering a call failed");
    if (number >= THROWN_MAX_ATTEMPTS) return { kind: "dead", reason: `delivering failed: ${String(err)}` };
    return { kind: "retry", afterMs: Math.min(THROWN_MAX_WAIT_MS, THROWN_MIN_WAIT_MS * 2 ** (number - 1)) };
  } finally {
    clearTimeout(timer);
  }
}

async function showRunning({ records, settings }: Context, { stored, id, open, startedAt }: HeldCall): Promise<void> {
  const { nextAttemptAt: _, ...before } = open ?? waitingRecord(stored, id);
  try {
    await records.putOpen({
      ...before,
      state: "running",
      attempts: stored.attempts,
      ...(startedAt !== undefined && { startedAt }),
    });
  } catch (err) {
    settings.log.debug({ err, callId: id }, "the record that a call runs could not be stored");
  }
}
