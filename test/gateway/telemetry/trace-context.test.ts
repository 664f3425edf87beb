import { expect, test } from "@jest/globals";
import { TraceIds } from "../../../gateway/telemetry/ids.ts";
import {
  formatTraceparent,
  readTraceContext,
  readTraceState,
  replaceContext,
} from "../../../gateway/telemetry/trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test.each<[rule: string, header: string, sampled: boolean]>([
  ["sampled", `00-${TRACE}-${SPAN}-01`, true],
  ["not sampled", `00-${TRACE}-${SPAN}-00`, false],
  ["other flags", `00-${TRACE}-${SPAN}-03`, true],
  ["unknown flags only", `00-${TRACE}-${SPAN}-fe`, false],
  ["a later version", `cc-${TRACE}-${SPAN}-01`, true],
  ["a later version with more", `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true],
  ["blanks around it", ` 00-${TRACE}-${SPAN}-01\t`, true],
])("a traceparent is understood: %s", (_rule, header, sampled) => {
  expect(readTraceContext(header, undefined)).toEqual({ traceId: TRACE, spanId: SPAN, sampled, state: "" });
});

test.each<[rule: string, header: string | undefined]>([
  ["none", undefined],
  ["empty", ""],
  ["upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ["the version that is none", `ff-${TRACE}-${SPAN}-01`],
  ["this version with more", `00-${TRACE}-${SPAN}-01-more`],
  ["a later version with more but no dash", `cc-${TRACE}-${SPAN}-01.more`],
  ["a trace of zeros", `00-${"0".repeat(32)}-${SPAN}-01`],
  ["a span of zeros", `00-${TRACE}-${"0".repeat(16)}-01`],
  ["a short trace", `00-${TRACE.slice(1)}-${SPAN}-01`],
  ["no flags", `00-${TRACE}-${SPAN}`],
  ["one digit of flags", `00-${TRACE}-${SPAN}-1`],
  ["two of them", `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
  ["more than anybody reads", `cc-${TRACE}-${SPAN}-01-${"x".repeat(300)}`],
])("a traceparent begins no trace of ours: %s", (_rule, header) => {
  expect(readTraceContext(header, "a=1")).toBeUndefined();
});

test.each<[rule: string, text: string, expected: string]>([
  ["kept as it is", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"],
  ["blanks and empty members go", " a=1 , ,b=2\t,", "a=1,b=2"],
  ["a tenant", "fw529a3039@dt=FfAAAPC8OrP", "fw529a3039@dt=FfAAAPC8OrP"],
  ["a key twice", "a=1,a=2", ""],
  ["no value", "a", ""],
  ["a bad key", "A=1", ""],
  ["an equals sign in a value", "a=1=2", ""],
  ["33 members", Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(), ""],
  ["endless", `a=${"x".repeat(1_000_000)}`, ""],
])("a tracestate: %s", (_rule, text, expected) => {
  expect(readTraceState(text)).toBe(expected);
});

test("a tracestate of more than 512 characters loses long members first, then the last ones", () => {
  const short = Array.from({ length: 20 }, (_, i) => `k${i + 10}=${"v".repeat(20)}`);
  const long = `long=${"x".repeat(200)}`;
  const read = readTraceState([short[0], long, ...short.slice(1)].join());
  expect(read.length).toBeLessThanOrEqual(512);
  expect(read).toBe(short.join().length <= 512 ? short.join() : short.slice(0, read.split(",").length).join());
  expect(read).not.toContain("long=");
  expect(read.split(",").length).toBeGreaterThan(15);
});

test("headers get a context in place of theirs, however that is spelled", () => {
  const headers = ["Accept", "a", "TraceParent", "x", "traceState", "a=1", "X-Traceparent", "kept"];
  const context = { traceId: TRACE, spanId: SPAN, sampled: true, state: "b=2" };
  expect(replaceContext(headers, context)).toEqual([
    ...["Accept", "a", "X-Traceparent", "kept", "traceparent", `00-${TRACE}-${SPAN}-01`, "tracestate", "b=2"],
  ]);
  expect(replaceContext([], { ...context, state: "", sampled: false })).toEqual([
    ...["traceparent", `00-${TRACE}-${SPAN}-00`],
  ]);
});

test("ids are as the header wants them, and none comes twice", () => {
  const ids = new TraceIds();
  const spans = new Set<string>();
  for (let i = 0; i < 5_000; i++) {
    const context = { traceId: ids.trace(), spanId: ids.span(), sampled: true };
    expect(readTraceContext(formatTraceparent(context), undefined)).toEqual({ ...context, state: "" });
    spans.add(context.spanId);
  }
  expect(spans.size).toBe(5_000);
});
