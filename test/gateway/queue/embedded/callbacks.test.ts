import { beforeEach, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { DeliveredCall, SettlementMessage, WaitingCallback } from "../../../../gateway/queue/embedded/protocol.ts";
import { toSettlement } from "../../../../gateway/queue/embedded/settlement.ts";
import { Bench } from "./bench.ts";

const KEY = "shout.openfaas-fn";
const BODY = Buffer.from("the answer");
const RESULT = { headers: "[]", body: BODY };
const OUTCOME = { status: 201, durationMs: 12, result: RESULT };

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

const waiting = (given: Partial<WaitingCallback> = {}): WaitingCallback => ({
  url: "http://h/",
  state: "done",
  retry: 0,
  retryMax: 3,
  durationMs: 12.5,
  tries: 1,
  since: bench.now,
  failure: "status 503",
  ...given,
});

const putOff = (seq: number, afterMs = 1000): SettlementMessage => ({
  seq,
  kind: "callback",
  afterMs,
  waiting: waiting(),
  outcome: OUTCOME,
});

function only(calls: readonly DeliveredCall[]): DeliveredCall {
  expect(calls).toHaveLength(1);
  return calls[0] as DeliveredCall;
}

test("a callback under way too often when the process died is given up, with its answer", () => {
  const seq = bench.publish("poison", KEY) as number;
  bench.consume();
  bench.delivered();
  bench.settle(putOff(seq, 0));
  for (let crash = 0; crash < 3; crash++) {
    if (crash > 0) bench.consume();
    bench.handle();
    expect(only(bench.delivered()).callback?.waiting.tries).toBe(1);
    bench.restart();
  }
  bench.consume();
  expect(bench.delivered()).toEqual([]);
  expect(bench.ask({ kind: "find", of: { seq } })).toMatchObject({
    state: "dead",
    key: KEY,
    attempts: 1,
    status: 201,
    callback: { state: "failed", tries: 1, reason: "status 503" },
  });
  expect(Buffer.from(bench.ask({ kind: "result", of: { seq } })?.result?.body ?? []).toString()).toBe("the answer");
  const { letters } = bench.ask({ kind: "letters", filter: { fn: KEY }, after: 0, limit: 9 });
  expect(letters).toMatchObject([{ seq, key: KEY, attempts: 1, status: 201 }]);
  expect(bench.stats()).toMatchObject({ waiting: 0, inFlight: 0, dead: 1, bytes: 0 });
});

test.each([0, 4])("its answer is whole, also where results of at most %d bytes are kept", (maxResultBytes) => {
  const result = { headers: [], body: BODY };
  const callback = { ...waiting(), outcome: { status: 201, durationMs: 12, result } };
  const settlement = toSettlement(1, { kind: "callback", afterMs: 5, callback }, maxResultBytes);
  expect(settlement).toMatchObject({ kind: "callback", outcome: { result: { headers: "[]", body: BODY } } });
  expect(toSettlement(1, { kind: "done", outcome: callback.outcome }, maxResultBytes)).not.toHaveProperty(
    "outcome.result",
  );
});

test("where no results are kept, nothing of the answer stays", () => {
  bench = new Bench({ ...bench.settings, resultTtlMs: 0 });
  const seq = bench.publish("a", KEY) as number;
  bench.consume();
  bench.delivered();
  bench.settle(putOff(seq, 0));
  expect(only(bench.delivered()).callback?.outcome.result?.body).toBeDefined();
  bench.settle({ seq, kind: "done" });
  expect(bench.ask({ kind: "find", of: { seq } })).toMatchObject({ state: "done", status: 201 });
  expect(bench.store.history.count()).toEqual({ count: 1, bytes: 0 });
});

test("a clock that is set changes neither its wait nor its time", () => {
  bench.steady = 0;
  const seq = bench.publish("a", KEY) as number;
  bench.consume();
  bench.delivered();
  const since = bench.now;
  bench.settle(putOff(seq, 1000));
  bench.now += 3_600_000;
  bench.steady += 500;
  bench.handle();
  expect(bench.delivered()).toEqual([]);
  bench.now += 501;
  bench.steady += 501;
  bench.handle();
  const { callback } = only(bench.delivered());
  expect(callback?.waiting.since).toBe(since + 3_600_000 - 500);
});

test("is given before what is new, and beside what its function has under way", () => {
  const first = bench.publish("first", KEY) as number;
  bench.consume(10, 1);
  bench.delivered();
  bench.settle(putOff(first, 1000));
  for (let i = 0; i < 3; i++) bench.publish(`later-${i}`, KEY);
  expect(bench.delivered()).toHaveLength(1);
  bench.now += 1001;
  bench.handle();
  expect(only(bench.delivered())).toMatchObject({ seq: first, callback: { outcome: { status: 201 } } });
  expect(bench.stats()).toMatchObject({ waiting: 2, inFlight: 2 });
  expect(bench.stats().functions).toHaveLength(1);
});

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("publish"), at: fc.nat(9) }),
    fc.record({ kind: fc.constantFrom("putOff", "done", "dead", "back", "expired", "retry"), at: fc.nat(9) }),
    fc.record({ kind: fc.constantFrom("cancel", "again", "replay", "drop", "purge"), at: fc.nat(9) }),
    fc.record({ kind: fc.constantFrom("wait", "restart", "refuse"), at: fc.nat(9) }),
  ),
  { maxLength: 60 },
);

test("whatever happens, what is counted is what is stored, and no call runs after its answer was", () => {
  fc.assert(
    fc.property(steps, (given) => {
      bench = new Bench({ ...bench.settings, maxInterruptions: 100 });
      bench.consume(4, 2);
      const places: number[] = [];
      const underWay = new Map<number, DeliveredCall>();
      const answered = new Set<number>();
      const take = () => {
        for (const call of bench.delivered()) {
          expect(underWay.has(call.seq)).toBe(false);
          expect(call.callback !== undefined || !answered.has(call.seq)).toBe(true);
          underWay.set(call.seq, call);
        }
      };
      const settle = (settlement: SettlementMessage) => {
        underWay.delete(settlement.seq);
        bench.settle(settlement);
      };
      for (const { kind, at } of given) {
        const seq = places[at % Math.max(1, places.length)];
        const call = [...underWay.values()][at % Math.max(1, underWay.size)];
        const end = { ...waiting(), tries: 2, delivered: kind === "done" };
        const outcome = call?.callback ? {} : { outcome: OUTCOME };
        if (kind === "publish") places.push(...[bench.publish("x", KEY)].flatMap((place) => place ?? []));
        else if (kind === "wait") bench.now += 500 * at;
        else if (kind === "refuse") bench.store.refusals = at % 3;
        else if (kind === "restart") {
          bench.store.refusals = 0;
          bench.handle();
          bench.restart();
          underWay.clear();
          bench.consume(4, 2);
        } else if (kind === "purge") bench.ask({ kind: "purge", fn: KEY });
        else if (seq !== undefined && kind === "cancel") bench.cancel(seq);
        else if (seq !== undefined && kind === "again") bench.ask({ kind: "callBack", of: { seq }, callId: "x" });
        else if (seq !== undefined && (kind === "replay" || kind === "drop")) {
          const moved = bench.ask({ kind, filter: { seq }, after: 0 });
          if (kind === "replay" && moved.count > 0) answered.delete(seq);
        } else if (call) {
          if (kind === "putOff") {
            answered.add(call.seq);
            settle({
              ...putOff(call.seq, 300 * at),
              ...(call.callback ? { outcome: undefined } : {}),
            } as SettlementMessage);
          } else if (kind === "done") settle({ seq: call.seq, kind, ...outcome, callback: end });
          else if (kind === "dead") settle({ seq: call.seq, kind, reason: "no", ...outcome, callback: end });
          else if (kind === "expired") settle({ seq: call.seq, kind, callback: end });
          else if (kind === "retry") settle({ seq: call.seq, kind, afterMs: 100 * at });
          else if (kind === "back") settle({ seq: call.seq, kind });
        }
        bench.handle();
        take();
      }
      bench.store.refusals = 0;
      bench.handle();
      const { waiting: waits, inFlight, dead, bytes } = bench.stats();
      bench.restart();
      const stored = bench.stats();
      expect({ calls: waits + inFlight, dead, bytes }).toEqual({
        calls: stored.waiting + stored.inFlight,
        dead: stored.dead,
        bytes: stored.bytes,
      });
      for (const { name } of stored.functions) expect(name).toBe("shout");
    }),
    { numRuns: 300 },
  );
});
