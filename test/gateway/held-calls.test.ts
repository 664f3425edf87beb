import { expect, test } from "@jest/globals";
import { DrainRate } from "../../gateway/proxy/drain-rate.ts";
import { HeldCalls } from "../../gateway/proxy/held-calls.ts";

/** Calls by name that note when they go on. */
class Line {
  readonly held = new HeldCalls("f.openfaas-fn", 100);
  readonly gone: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #signal = new AbortController().signal;

  wait(name: string): Promise<void> {
    const again = this.#places.has(name);
    const place = this.#places.get(name) ?? this.held.nextNumber();
    this.#places.set(name, place);
    const waiting = this.held.wait({
      number: place,
      again,
      deadline: performance.now() + 60_000,
      signal: this.#signal,
    });
    return waiting.then(() => void this.gone.push(name));
  }
}

test("as many go on as there are places, in the order of arrival", async () => {
  const line = new Line();
  const calls = ["a", "b", "c", "d"].map((name) => line.wait(name));
  line.held.release(2);
  line.held.release(1);
  await Promise.all(calls.slice(0, 3));
  expect(line.gone).toEqual(["a", "b", "c"]);
  expect(line.held.count).toBe(1);
  line.held.release(Number.POSITIVE_INFINITY);
  await calls[3];
  expect(line.held.count).toBe(0);
});

test("who comes back has the place of before", async () => {
  const line = new Line();
  const first = ["a", "b"].map((name) => line.wait(name));
  line.held.release(2);
  await Promise.all(first);
  line.gone.length = 0;
  const calls = [line.wait("c"), line.wait("b"), line.wait("a")];
  line.held.release(3);
  await Promise.all(calls);
  expect(line.gone).toEqual(["a", "b", "c"]);
});

test("a full line takes no more, but those who come back", async () => {
  const line = new Line();
  line.held.max = 1;
  const a = line.wait("a");
  await expect(line.wait("b")).rejects.toMatchObject({ kind: "overloaded" });
  line.held.release(1);
  await a;
  const c = line.wait("c");
  const again = line.wait("a");
  line.held.release(2);
  await Promise.all([again, c]);
  expect(line.gone).toEqual(["a", "a", "c"]);
});

test.each<[what: string, left: number, everyMs: number, waiting: number, seconds: number]>([
  ["nobody waits", 0, 0, 0, 1],
  ["none has left", 0, 0, 10, 5],
  ["ten a second left", 50, 100, 20, 2],
  ["one in two seconds left", 5, 2000, 10, 20],
  ["it would take minutes", 5, 2000, 1000, 60],
])("when %s, to wait is %#", (_what, left, everyMs, waiting, seconds) => {
  const rate = new DrainRate();
  for (let i = 1; i <= left; i++) rate.count(i * everyMs);
  const told = rate.secondsFor(waiting, left * everyMs);
  expect(Math.abs(told - seconds)).toBeLessThanOrEqual(seconds * 0.25);
});
