import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { BatchPlace, FinalState } from "../../../../gateway/queue/queue.ts";
import { Bench, SETTINGS } from "./bench.ts";

const SIZE = 3;
const metaOf = (batch: BatchPlace) => JSON.stringify({ batch });

type Step =
  | { readonly kind: "publish" }
  | { readonly kind: "end"; readonly which: number; readonly how: "done" | "dead" | "retry" | "back" | "expired" }
  | { readonly kind: "tell"; readonly well: boolean }
  | { readonly kind: "cancel"; readonly which: number }
  | { readonly kind: "replay" }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "refuse"; readonly times: number }
  | { readonly kind: "crash" };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: "publish" as const }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      which: fc.nat(20),
      how: fc.constantFrom("done", "done", "dead", "retry", "back", "expired"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("tell" as const), well: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "replay" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: -40, max: 2000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("refuse" as const), times: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "crash" as const }) },
);

/** Does with batches what a consumer does, and keeps the books. */
class Scene {
  readonly run = new Bench({ ...SETTINGS, maxInterruptions: 1000, maxDead: 10_000 });
  readonly batches = new Set<number>();
  underWay: number[] = [];
  telling: number[] = [];
  /** Batches of which somebody has been told the end. */
  readonly told = new Set<number>();
  readonly cancelled = new Set<number>();

  constructor() {
    this.run.consume(6, 4);
  }

  collect(): void {
    for (const { seq } of this.run.delivered()) {
      expect(this.underWay).not.toContain(seq);
      this.underWay.push(seq);
    }
    expect(this.underWay.length).toBeLessThanOrEqual(6);
    for (const message of this.run.said.splice(0)) {
      if (message.kind === "tell") for (const { seq } of message.batches) this.telling.push(seq);
    }
  }

  end(which: number, how: Extract<Step, { kind: "end" }>["how"]): void {
    const [seq] = this.underWay.splice(which % Math.max(1, this.underWay.length), 1);
    if (seq === undefined) return;
    if (how === "retry") this.run.settle({ seq, kind: how, afterMs: which });
    else if (how === "dead") this.run.settle({ seq, kind: how, reason: "test" });
    else if (how === "done" && this.batches.has(seq)) this.spread(seq);
    else this.run.settle({ seq, kind: how });
    this.collect();
  }

  /** A member that the disk refuses is tried again later; one of a batch that has ended never. */
  spread(whole: number): void {
    for (let index = 0; index < SIZE; index++) {
      const meta = metaOf({ kind: "member", of: `${whole}`, index, size: SIZE });
      const { spare, store } = this.run;
      const inTrouble = !spare.held || store.refusals > 0;
      const seq = this.run.publish("", "fn", { member: { whole, index }, meta });
      const refused = seq === undefined && !this.cancelled.has(whole);
      if (refused) {
        // Nothing else keeps it from taking a line.
        expect(inTrouble).toBe(true);
        this.run.settle({ seq: whole, kind: "retry", afterMs: 10, counted: false });
        return;
      }
      this.collect();
    }
    this.run.settle({ seq: whole, kind: "done" });
  }

  tell(well: boolean): void {
    const seq = this.telling.shift();
    if (seq === undefined) return;
    if (well) this.told.add(seq);
    this.run.settle(well ? { seq, kind: "told" } : { seq, kind: "untold", afterMs: 10, counted: true });
  }
}

test("whatever happens, a batch ends once all of its members have, and its end is told", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
      const scene = new Scene();
      const { run, batches } = scene;
      for (const [i, step] of steps.entries()) {
        switch (step.kind) {
          case "publish": {
            const seq = run.publish("", "fn", {
              wholeSize: SIZE,
              callId: `batch-${i}`,
              meta: metaOf({ kind: "whole", size: SIZE }),
            });
            if (seq !== undefined) batches.add(seq);
            break;
          }
          case "end":
            scene.end(step.which, step.how);
            break;
          case "tell":
            scene.tell(step.well);
            break;
          case "cancel": {
            const seq = [...batches][step.which % Math.max(1, batches.size)];
            if (seq === undefined) break;
            const before = run.cancel(seq);
            if (before === "waiting" || before === "running") scene.cancelled.add(seq);
            break;
          }
          case "replay":
            run.handle({ kind: "ask", question: 3, ask: { kind: "replay", filter: {}, after: 0 } });
            break;
          case "advance":
            run.now += step.ms;
            run.spare.held = true;
            run.handle();
            break;
          case "refuse":
            run.store.refusals = step.times;
            break;
          case "crash":
            run.store.refusals = 0;
            run.handle();
            scene.collect();
            scene.underWay = [];
            scene.telling = [];
            run.restart();
            run.consume(6, 4);
            break;
        }
        scene.collect();
      }

      run.store.refusals = 0;
      run.spare.held = true;
      for (let i = 0; i < 300; i++) {
        run.now += 20;
        run.handle();
        scene.collect();
        for (let n = scene.underWay.length; n > 0; n--) scene.end(0, "done");
        for (let n = scene.telling.length; n > 0; n--) scene.tell(true);
      }
      const { waiting, inFlight, dead } = run.stats();
      expect({ waiting, inFlight }).toEqual({ waiting: 0, inFlight: 0 });
      expect(dead).toBe(run.store.dead.list({}, 0, undefined, 10_000).length);
      for (const seq of batches) {
        const found = run.ask({ kind: "find", of: { seq } });
        if (found === undefined) continue; // forgotten
        const { state, batch } = found;
        expect(["done", "dead", "cancelled", "expired"] satisfies FinalState[]).toContain(state);
        if (state !== "done") continue;
        const { size, ...ends } = batch ?? { size: 0 };
        expect(Object.values(ends).reduce((sum, count) => sum + count, 0)).toBe(size);
        expect(scene.told).toContain(seq);
        expect(scene.cancelled.has(seq) || ends).toEqual(scene.cancelled.has(seq) || { ...ends, cancelled: 0 });
      }
      run.store.close();
    }),
    {
      numRuns: 100,
      // Came to grief once: the disk refuses the first line.
      examples: [1, 2, 3, 4].map((times): [Step[]] => [
        [{ kind: "publish" }, { kind: "refuse", times }, { kind: "end", which: 0, how: "done" }],
      ]),
    },
  );
});
