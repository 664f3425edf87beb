import type { CallbackEnd, Disposition, Outcome } from "../queue.ts";
import type { SettlementMessage, StoredOutcome, WireSettlement } from "./protocol.ts";

/**
 * What is told to the thread of what became of an attempt.
 * @param maxResultBytes of results that it keeps; undefined when it has this one already
 */
export function toSettlement(
  seq: number,
  disposition: Disposition,
  maxResultBytes: number | undefined,
): SettlementMessage {
  switch (disposition.kind) {
    case "done":
      return { seq, kind: "done", ...stored(disposition.outcome, maxResultBytes), ...ended(disposition) };
    case "retry": {
      const { afterMs, counted, refused, outcome } = disposition;
      // Results are for the end of a call.
      const brief = outcome && { outcome: { status: outcome.status, durationMs: outcome.durationMs } };
      const how = { ...(counted === false && { counted }), ...(refused && { refused }) };
      return { seq, kind: "retry", afterMs: Math.max(0, afterMs), ...how, ...brief };
    }
    case "dead":
      return {
        seq,
        kind: "dead",
        reason: disposition.reason,
        ...stored(disposition.outcome, maxResultBytes),
        ...ended(disposition),
      };
    case "expired":
      return { seq, kind: "expired", ...ended(disposition) };
    case "callback": {
      const { outcome, ...waiting } = disposition.callback;
      const afterMs = Math.max(0, disposition.afterMs);
      // It is what the callback is to tell, whatever is kept of calls that have ended.
      const all = maxResultBytes === undefined ? undefined : Number.POSITIVE_INFINITY;
      return { seq, kind: "callback", afterMs, waiting, ...stored(outcome, all) };
    }
  }
}

function ended({ callback }: { readonly callback?: CallbackEnd }): { readonly callback?: CallbackEnd } {
  return callback ? { callback } : {};
}

function stored(
  outcome: Outcome | undefined,
  maxResultBytes: number | undefined,
): { readonly outcome?: StoredOutcome } {
  if (!outcome || maxResultBytes === undefined) return {};
  const { status, durationMs, result } = outcome;
  const headers = result && JSON.stringify(result.headers);
  if (!result || headers === undefined || maxResultBytes === 0) return { outcome: { status, durationMs } };
  const bytes = result.headers.reduce((sum, [name, value]) => sum + name.length + value.length, result.body.byteLength);
  if (bytes > maxResultBytes) return { outcome: { status, durationMs } };
  return { outcome: { status, durationMs, result: { headers, body: result.body } } };
}

/** Takes the result's body out of a settlement, for it to travel in one buffer with others from `bodyAt` on. */
export function toWire(
  settlement: SettlementMessage,
  bodyAt: number,
): { wire: WireSettlement; body: Uint8Array | undefined } {
  if (!("outcome" in settlement) || !settlement.outcome?.result) return { wire: { settlement }, body: undefined };
  const { result, ...outcome } = settlement.outcome;
  const { headers, body } = result;
  const wire = { settlement: { ...settlement, outcome }, result: { headers, bodyAt, bodyBytes: body.byteLength } };
  return { wire, body };
}

export function toOutcome({ status, durationMs, result }: StoredOutcome): Outcome {
  if (!result) return { status, durationMs };
  const headers = JSON.parse(result.headers) as (readonly [string, string])[];
  return { status, durationMs, result: { headers, body: result.body } };
}
