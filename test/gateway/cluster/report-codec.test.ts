import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeReport, MAX_PART_BYTES, ReportReader } from "../../../gateway/cluster/report-codec.ts";
import type { FunctionLoad, LoadReport } from "../../../gateway/core/scaling/load-book.ts";

const load = (changes: Partial<FunctionLoad> = {}): FunctionLoad => ({
  concurrency: 1.5,
  started: 3,
  inFlight: 2,
  held: 1,
  ...changes,
});

function roundTrip(report: LoadReport, maxBytes: number) {
  const messages = encodeReport(report, 1, maxBytes);
  const reader = new ReportReader();
  const read = messages.map((message) => reader.read(message));
  expect(read.slice(0, -1).every((each) => each === undefined)).toBe(true);
  return { messages, read: read.at(-1) };
}

test("what is encoded is read again, in messages that are small enough", () => {
  // A letter first: `__proto__` is no name of a function.
  const name = fc.string({ maxLength: 60 }).map((text) => `f${text}`);
  const count = fc.nat(1_000_000);
  const functionLoad = fc.record(
    {
      concurrency: fc.double({ min: 0, max: 1e6, noNaN: true }).map(Math.abs),
      started: count,
      inFlight: count,
      held: count,
      replicas: fc.dictionary(name, count, { maxKeys: 5 }),
    },
    { requiredKeys: ["concurrency", "started", "inFlight", "held"] },
  );
  const latencies = fc.array(fc.tuple(fc.nat(191), count), { maxLength: 20 });
  const trial = fc.record({ calls: count, errors: count, cold: count, latencies });
  const trials = fc.dictionary(name, fc.record({ key: fc.constant("5/1/0"), candidate: trial, stable: trial }), {
    minKeys: 1,
    maxKeys: 5,
  });
  const report = fc.record(
    {
      gateway: name,
      functions: fc.dictionary(name, functionLoad, { maxKeys: 30 }),
      alerted: fc.array(name, { minLength: 1, maxLength: 10 }),
      orders: fc.dictionary(name, count, { minKeys: 1, maxKeys: 10 }),
      byHand: fc.dictionary(name, count, { minKeys: 1, maxKeys: 10 }),
      trials,
      last: fc.constant(true as const),
    },
    { requiredKeys: ["gateway", "functions"] },
  );
  fc.assert(
    fc.property(report, fc.integer({ min: 3000, max: 20_000 }), (sent, maxBytes) => {
      const { messages, read } = roundTrip(sent as LoadReport, maxBytes);
      expect(messages.every(({ byteLength }) => byteLength <= maxBytes)).toBe(true);
      expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(sent)));
    }),
  );
});

test("thousands of functions go in several messages, none too large to be read", () => {
  const functions = Object.fromEntries(
    Array.from({ length: 5000 }, (_, i) => [`function-${i}.openfaas-fn`, load({ replicas: { "10.0.0.1:8080": i } })]),
  );
  const { messages, read } = roundTrip({ gateway: "a", functions }, 1024 ** 2);
  expect(messages.length).toBeGreaterThan(1);
  expect(Math.max(...messages.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(MAX_PART_BYTES);
  expect(read?.functions).toEqual(functions);
});

test("of a function with too many replicas the sum is told", () => {
  const replicas = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`10.0.0.1:${i}`, 1]));
  const { read } = roundTrip({ gateway: "a", functions: { f: load({ replicas }) } }, 4096);
  expect(read?.functions).toEqual({ f: load() });
});

test("a report that is cut short by the next one is dropped", () => {
  const functions = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, load()]));
  const [first, ...others] = encodeReport({ gateway: "a", functions }, 1, 1024);
  const reader = new ReportReader();
  reader.read(first as Uint8Array);
  for (const message of encodeReport({ gateway: "a", functions: {} }, 2, 1024)) {
    expect(reader.read(message)).toEqual({ gateway: "a", functions: {} });
  }
  expect(others.map((message) => reader.read(message)).filter(Boolean)).toEqual([]);
});

test.each<[what: string, message: string]>([
  ["no JSON", "{"],
  ["no report", "[]"],
  ["a negative count", JSON.stringify(messageWith({ started: -1 }))],
  ["a number that is none", JSON.stringify(messageWith({ concurrency: "1" }))],
  ["too large", JSON.stringify({ ...messageWith({}), alerted: ["x".repeat(MAX_PART_BYTES)] })],
])("%s is refused", (_what, message) => {
  expect(() => new ReportReader().read(Buffer.from(message))).toThrow("load report");
});

function messageWith(changes: object) {
  return { gateway: "a", report: 1, part: 0, parts: 1, functions: { f: { ...load(), ...changes } } };
}
