import { expect, test } from "@jest/globals";
import type { Span } from "../../../gateway/telemetry/span.ts";
import { type SpanDelivery, SpanExporter, type SpanExporterOptions } from "../../../gateway/telemetry/span-exporter.ts";
import { eventually } from "../../support/eventually.ts";

const TAKEN: SpanDelivery = { kind: "taken", rejected: 0 };

function spans(count: number): Span[] {
  return Array.from({ length: count }, (_, i) => ({
    traceId: "a".repeat(32),
    spanId: `${i}`,
    parentId: undefined,
    state: "",
    name: `span ${i}`,
    kind: 1,
    start: 0,
    end: 1,
    attributes: {},
    failed: false,
  }));
}

/** An exporter whose collector answers with `answers`, one after the other, and with success from then on. */
function open(answers: (SpanDelivery | Promise<SpanDelivery>)[] = [], options: Partial<SpanExporterOptions> = {}) {
  const batches: number[] = [];
  const said: string[] = [];
  const exporter = new SpanExporter({
    send: async (batch) => {
      batches.push(batch.length);
      return (await answers.shift()) ?? TAKEN;
    },
    maxQueue: 100,
    maxBatch: 10,
    delayMs: 10,
    onTrouble: (reason) => said.push(reason),
    onRecovery: () => said.push("well again"),
    random: () => 0,
    ...options,
  });
  return { exporter, batches, said };
}

test("spans wait for others, and go at once when there is a batch of them", async () => {
  const { exporter, batches } = open([], { delayMs: 3_600_000 });
  exporter.add(spans(9));
  expect(batches).toEqual([]);
  exporter.add(spans(3));
  await eventually("the batch is sent", () => exporter.exported === 10);
  await exporter.close(1_000);
  expect(batches).toEqual([10, 2]);
});

test("what does not fit is lost as a whole, counted, and told once", async () => {
  const slow = Promise.withResolvers<SpanDelivery>();
  const { exporter, said } = open([slow.promise]);
  exporter.add(spans(10));
  await eventually("it is under way", () => exporter.add([]) === undefined);
  for (let i = 0; i < 40; i++) exporter.add(spans(3));
  expect(exporter.dropped.queue_full).toBe(120 - 90);
  expect(said).toHaveLength(1);
  slow.resolve(TAKEN);
  await eventually("all others are sent", () => exporter.exported === 100);
  expect(said).toEqual([expect.any(String), "well again"]);
});

test("one try more, when the collector has no time", async () => {
  const { exporter, batches, said } = open([{ kind: "again", reason: "busy", afterMs: undefined }]);
  exporter.add(spans(2));
  await eventually("they are sent", () => exporter.exported === 2);
  expect(batches).toEqual([2, 2]);
  expect(said).toEqual(["busy", "well again"]);
});

test("what a collector would not have is not sent again", async () => {
  const { exporter, batches } = open([
    { kind: "refused", reason: "bad" },
    { kind: "taken", rejected: 1 },
    { kind: "taken", rejected: 1_000 },
  ]);
  for (let i = 1; i <= 3; i++) {
    exporter.add(spans(2));
    await eventually("it is sent", () => batches.length === i);
    await eventually("it is counted", () => exporter.exported + exporter.dropped.refused === 2 * i);
  }
  expect([exporter.exported, exporter.dropped.refused]).toEqual([1, 5]);
});

test("a close waits for no second try, nor longer than it is told", async () => {
  const { exporter } = open([{ kind: "again", reason: "busy", afterMs: 3_600_000 }]);
  exporter.add(spans(10));
  await eventually("the first try is over", () => exporter.exported === 0);
  await exporter.close(10_000);
  expect(exporter.exported + exporter.dropped.unreachable).toBe(10);

  const hangs = new SpanExporter({
    send: (_batch, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () => resolve({ kind: "again", reason: "late", afterMs: undefined })),
      ),
    maxQueue: 100,
    maxBatch: 10,
    delayMs: 1,
    onTrouble: () => {},
    onRecovery: () => {},
    random: () => 0,
  });
  hangs.add(spans(30));
  await hangs.close(50);
  await hangs.close(50);
  expect(Object.values(hangs.dropped).reduce((sum, count) => sum + count, 0)).toBe(30);
  hangs.add(spans(1));
  expect(hangs.dropped.queue_full).toBe(1);
});
