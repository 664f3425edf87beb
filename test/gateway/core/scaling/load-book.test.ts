import { expect, test } from "@jest/globals";
import { type FunctionLoad, LoadBook } from "../../../../gateway/core/scaling/load-book.ts";

const load = (changes: Partial<FunctionLoad> = {}): FunctionLoad => ({
  concurrency: 0,
  started: 0,
  inFlight: 0,
  held: 0,
  ...changes,
});

test("what gateways see adds up", () => {
  const book = new LoadBook();
  const a = load({ concurrency: 1.5, started: 3, inFlight: 2, replicas: { "h:1": 1, "h:2": 1 } });
  const b = load({ concurrency: 2, started: 1, held: 4, replicas: { "h:2": 3 } });
  book.write({ gateway: "a", functions: { "f.ns": a } }, 0);
  book.write({ gateway: "b", functions: { "f.ns": b, "g.ns": load({ inFlight: 1 }) } }, 0);
  const sums = book.take();
  expect(sums.get("f.ns")).toEqual({
    concurrency: 3.5,
    started: 4,
    inFlight: 2,
    held: 4,
    replicas: { "h:1": 1, "h:2": 4 },
  });
  expect([...sums.keys()]).toEqual(["f.ns", "g.ns"]);
});

test("calls count as begun once, what is in flight until the next report", () => {
  const book = new LoadBook();
  book.write({ gateway: "a", functions: { f: load({ started: 2, inFlight: 1 }) } }, 0);
  book.write({ gateway: "a", functions: { f: load({ started: 3, inFlight: 2 }) } }, 1000);
  expect(book.take().get("f")).toMatchObject({ started: 5, inFlight: 2 });
  expect(book.take().get("f")).toMatchObject({ started: 0, inFlight: 2 });
  book.write({ gateway: "a", functions: {} }, 2000);
  expect(book.take().get("f")).toBeUndefined();
});

test("a silent gateway is missed, then gone; one that says so is gone at once", () => {
  const book = new LoadBook();
  book.write({ gateway: "a", functions: { f: load({ started: 1, inFlight: 1 }) } }, 0);
  book.write({ gateway: "b", functions: { f: load({ inFlight: 2, started: 2 }) } }, 0);
  book.write({ gateway: "b", functions: {}, last: true }, 1000);
  expect(book.missed(3000)).toEqual([]);
  expect(book.missed(3001)).toEqual(["a"]);
  expect(book.take().get("f")).toMatchObject({ started: 3, inFlight: 1 });
  expect(book.missed(10_001)).toEqual([]);
  expect(book.take().size).toBe(0);
});
