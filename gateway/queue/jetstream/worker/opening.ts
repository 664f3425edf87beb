import { sleep } from "../../../../kit/sleep.ts";
import type { Attempt } from "../../worker/store.ts";
import type { WorkerContext } from "../background/worker-context.ts";
import { isWanted } from "../calls/callback-again.ts";
import { lookUpPast } from "../calls/past.ts";
import { BodyLostError } from "../store/bodies.ts";
import { queuedCall } from "../store/call-codec.ts";
import { givenUp, type StoredCallback } from "../store/callback-codec.ts";
import type { Conclusion, HeldCall } from "../store/held-call.ts";
import { countLeft } from "../store/left-marks.ts";
import { waitingRecord } from "../store/record.ts";

/** Between this machine and the server's. */
const CLOCK_SKEW_MS = 5000;
/** Most calls are done by then and need no record that they run. */
const SHOW_RUNNING_MS = 200;
/** Before what could not be looked up is given to somebody else. */
const TROUBLE_WAIT_MS = 500;

type Opened = Attempt | Conclusion;

/** Readies a call to be tried, unless it is over already: at once when nothing has to be looked up. Never rejects. */
export function openCall(context: WorkerContext, held: HeldCall): Opened | Promise<Opened> {
  if (held.cancelled) return { kind: "cancelled" };
  const { body } = held.stored;
  if (body instanceof Uint8Array && !mayBePast(context, held)) return begin(context, held, body);
  return lookUp(context, held);
}

/** Whether the call of a message may be over or have moved on: the message comes again, or took the place of another. */
function mayBePast({ server }: WorkerContext, { delivery, stored }: HeldCall): boolean {
  // A server that was killed may have forgotten the last of what had been acknowledged.
  const outlived = delivery.storedAt < server.since + CLOCK_SKEW_MS;
  // A batch that was cancelled leaves its message to whoever gets it, to look for members then.
  const whole = stored.call.batch?.kind === "whole";
  return delivery.deliveries > 1 || stored.id !== undefined || outlived || whole;
}

async function lookUp(context: WorkerContext, held: HeldCall): Promise<Opened> {
  try {
    const past = mayBePast(context, held) ? await checkPast(context, held) : undefined;
    if (past) return past;
    return held.stored.callback
      ? await beginCallback(context, held, held.stored.callback)
      : begin(context, held, await context.bodyOf(held.stored));
  } catch (err) {
    if (err instanceof BodyLostError) return { kind: "dead", reason: `it cannot be read: ${err.message}` };
    context.settings.log.warn({ err, callId: held.id }, "a call cannot be looked up; it is handed back");
    await sleep(TROUBLE_WAIT_MS);
    return { kind: "back" };
  }
}

async function checkPast(context: WorkerContext, held: HeldCall): Promise<Conclusion | undefined> {
  const { settings } = context;
  const { delivery, stored, id } = held;
  if (stored.callback?.again && !(await isWanted(context, held))) return { kind: "stale" };
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
    const { callback } = stored;
    const told = callback && { callback: givenUp(callback), outcome: (await context.pendingOf(callback)).outcome };
    return { kind: "dead", reason: `its attempts were cut off ${interruptions} times`, ...told };
  }
  return undefined;
}

function begin(context: WorkerContext, held: HeldCall, body: Uint8Array): Opened {
  const { stored, id } = held;
  const { notAfter, callbackUrl } = stored.call;
  const startedAt = Date.now();
  // Whoever is to be called back is told that it expired, by who gets it delivered.
  if (notAfter !== undefined && startedAt > notAfter && callbackUrl === undefined) return { kind: "expired" };
  // What becomes of it may have been decided meanwhile.
  if (!held.concluded) {
    held.startedAt = startedAt;
    held.showing = setTimeout(() => {
      held.running = showRunning(context, held);
    }, SHOW_RUNNING_MS);
  }
  return { call: queuedCall(stored, id, body), number: stored.attempts + 1 };
}

/** Its attempt has ended long ago: nothing of it begins anew. */
async function beginCallback(
  context: WorkerContext,
  { stored, id }: HeldCall,
  callback: StoredCallback,
): Promise<Attempt> {
  const call = queuedCall(stored, id, new Uint8Array(), await context.pendingOf(callback));
  return { call, number: Math.max(1, stored.attempts) };
}

async function showRunning(
  { records, settings }: WorkerContext,
  { stored, id, open, startedAt }: HeldCall,
): Promise<void> {
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
