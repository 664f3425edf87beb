import { expect, test } from "@jest/globals";
import { openTelemetry } from "../../../gateway/process/open-telemetry.ts";
import { AccessLog } from "../../../gateway/telemetry/access-log.ts";
import { ObservedCall } from "../../../gateway/telemetry/call-record.ts";
import { LogOutput } from "../../../kit/log-output.ts";
import { eventually } from "../../support/eventually.ts";

/** Takes lines while it has room. */
class Lines extends LogOutput {
  text = "";
  full = false;

  constructor() {
    super(-1);
  }

  override offer(lines: string): boolean {
    if (!this.full) this.text += lines;
    return !this.full;
  }

  get count(): number {
    return this.text.split("\n").length - 1;
  }
}

function ended(): ObservedCall {
  const head = { kind: "call", method: "GET", url: "/function/f?a=b", headers: {}, client: undefined } as const;
  return Object.assign(new ObservedCall(head, undefined, 10), { endedAt: 12, status: 200 });
}

function open() {
  const output = new Lines();
  let complaints = 0;
  const log = new AccessLog({ output, onLoss: () => complaints++ });
  return { output, log, complaints: () => complaints };
}

test("lines wait a moment for others", async () => {
  const { output, log } = open();
  for (let i = 0; i < 3; i++) log.add(ended());
  expect(output.count).toBe(0);
  await eventually("they are written", () => output.count === 3);
  expect(JSON.parse(output.text.split("\n")[0] as string)).toMatchObject({ path: "/function/f", durationMs: 2 });
});

test("and none waits once they are many", () => {
  const { output, log } = open();
  for (let i = 0; i < 1_000; i++) log.add(ended());
  expect(output.count).toBeGreaterThan(500);
});

test("lines that nobody takes are lost and counted, and that is told once", () => {
  const { output, log, complaints } = open();
  output.full = true;
  for (let i = 0; i < 1_000; i++) log.add(ended());
  log.flush();
  expect([log.dropped, complaints()]).toEqual([1_000, 1]);
  output.full = false;
  log.add(ended());
  log.flush();
  expect([output.count, log.dropped]).toEqual([1, 1_000]);
});

test("a close hands on what has been gathered", async () => {
  const output = new Lines();
  const silent = { info: () => {}, warn: () => {} };
  const settings = { accessLog: { kind: "stdout" }, tracing: undefined, release: "test", output, log: silent } as const;
  const { observer, close } = await openTelemetry(settings);
  observer?.end(ended());
  expect(output.count).toBe(0);
  await close();
  expect(output.count).toBe(1);
});

test("nothing is opened that is not asked for", async () => {
  const silent = { info: () => {}, warn: () => {} };
  const opened = await openTelemetry({ accessLog: { kind: "off" }, tracing: undefined, release: "test", log: silent });
  expect([opened.observer, opened.tracer, opened.counts]).toEqual([undefined, undefined, {}]);
  await opened.close();
});
