import { expect, test } from "@jest/globals";
import { barPieces } from "../../../gateway/ui/browser/components/bar-pieces.ts";
import { linesOfCall, startupParts } from "../../../gateway/ui/browser/screens/function/call-parts.ts";

test("phases follow one another, and share the whole", () => {
  const pieces = barPieces([
    { name: "wait", ms: 30 },
    { name: "connect", ms: 0 },
    { name: "function", ms: 10 },
  ]);
  expect(pieces.map(({ from, share }) => [from, share])).toEqual([
    [0, 0.75],
    [0.75, 0],
    [0.75, 0.25],
  ]);
});

test.each([[[]], [[{ name: "wait", ms: 0 }]], [[{ name: "wait", ms: -5 }]], [[{ name: "wait", ms: Number.NaN }]]])(
  "phases %j without a length have no share",
  (phases) => {
    expect(barPieces(phases).every(({ from, share }) => from === 0 && share === 0)).toBe(true);
  },
);

const AT = Date.parse("2026-11-30T12:00:00Z");
const call = { id: "c1", at: AT, durationMs: 100, replica: "a" };
const line = (text: string, afterMs: number, instance = "a") => ({
  name: "f",
  namespace: "n",
  instance,
  text,
  timestamp: new Date(AT + afterMs).toISOString(),
});
const textsOf = (...given: Parameters<typeof linesOfCall>) => linesOfCall(...given).map(({ text }) => text);

test("lines of a call are those of its replica while it ran, and those with its id, in their order", () => {
  const lines = [
    line("late", 5_000),
    line("during", 50),
    line("other replica", 50, "b"),
    line("early", -5_000),
    line("late [c1]", 9_000, "b"),
    line("begins", 0),
  ];
  expect(textsOf(lines, call)).toEqual(["begins", "during", "late [c1]"]);
  expect(textsOf(lines, { ...call, id: "c1.2", callId: "c1" })).toEqual(["begins", "during", "late [c1]"]);
  expect(linesOfCall(lines, call).map(({ isNamed }) => isNamed)).toEqual([false, false, true]);
});

test("lines are not left out where replicas have other names in the log", () => {
  const lines = [line("x", 10, "orders-1"), line("y", 20, "orders-2")];
  expect(textsOf(lines, { ...call, replica: "127.0.0.1:4000" })).toEqual(["x", "y"]);
  const { replica: _, ...nameless } = call;
  expect(textsOf(lines, nameless)).toEqual(["x", "y"]);
});

test("of several starts each phase has its median and its longest", () => {
  const start = (started: number, listening: number) => [
    { name: "started", ms: started },
    { name: "listening", ms: listening },
  ];
  expect(startupParts([start(10, 100), start(30, 900), start(20, 200)])).toEqual([
    { name: "started", medianMs: 20, mostMs: 30 },
    { name: "listening", medianMs: 200, mostMs: 900 },
  ]);
  expect(startupParts([])).toEqual([]);
});
