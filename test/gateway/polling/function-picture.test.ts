import { beforeEach, describe, expect, test } from "@jest/globals";
import type { KnownFunction } from "../../../gateway/core/known-function.ts";
import { PolledFunctions } from "../../../gateway/polling/function-snapshots.ts";

const NOTHING: ReadonlySet<string> = new Set();

function fn(name: string, replicas: number): KnownFunction {
  const way = { path: `/function/${name}.ns`, available: replicas };
  return { name, namespace: "ns", labels: {}, annotations: {}, replicas, generation: 0, endpoints: [], way };
}

let picture: PolledFunctions;
const all = (begunAt: number, ...functions: KnownFunction[]) => picture.takeAll(functions, NOTHING, begunAt);

beforeEach(() => {
  picture = new PolledFunctions();
});

test("only what differs is news", () => {
  expect(all(1, fn("a", 1), fn("b", 1))).toHaveLength(2);
  expect(all(2, fn("a", 1), fn("b", 2))).toEqual([{ type: "changed", function: fn("b", 2) }]);
  expect(all(3, fn("a", 1), fn("b", 2))).toEqual([]);
});

describe("what says nothing any more is left out of account:", () => {
  test("a reading that a later one has overtaken", () => {
    all(1, fn("a", 0));
    expect(picture.take(fn("a", 1), 5)).toBeDefined();
    expect(all(4, fn("a", 0))).toEqual([]);
    expect(picture.find("a.ns")?.replicas).toBe(1);
  });

  test("one that began before an order", () => {
    all(1, fn("a", 1));
    picture.ordered("a.ns", 5);
    expect(picture.take(fn("a", 0), 4)).toBeUndefined();
    expect(picture.take(fn("a", 3), 6)).toBeDefined();
  });

  test("the absence of a function from a list that is older than it", () => {
    all(1);
    picture.take(fn("a", 1), 5);
    expect([...all(3), ...all(4)]).toEqual([]);
  });
});

describe("a function is gone", () => {
  test("when it is missing twice", () => {
    all(1, fn("a", 1), fn("b", 1));
    expect([all(2, fn("b", 1)), picture.someMissed]).toEqual([[], true]);
    expect(all(3, fn("b", 1))).toEqual([{ type: "removed", function: fn("a", 1) }]);
    expect([picture.someMissed, picture.find("a.ns")]).toEqual([false, undefined]);
  });

  test("not when it was there between", () => {
    all(1, fn("a", 1));
    all(2);
    all(3, fn("a", 1));
    expect(all(4)).toEqual([]);
  });

  test("not while it is listed in words that nobody understands", () => {
    all(1, fn("a", 1));
    for (const begunAt of [2, 3, 4]) expect(picture.takeAll([], new Set(["a"]), begunAt)).toEqual([]);
  });
});
