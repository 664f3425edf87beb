import { expect, test } from "@jest/globals";
import {
  answerTimeoutMs,
  type FunctionTimeouts,
  readTimeouts,
  timeoutProblems,
  timeoutWarnings,
  type WaitLimits,
} from "../../contract/timeouts.ts";

type Strings = Record<string, string>;

test.each<[env: Strings, expected: FunctionTimeouts | undefined]>([
  [{}, undefined],
  [{ max_inflight: "5" }, undefined],
  [{ exec_timeout: "10m" }, { execMs: 600_000 }],
  [
    { exec_timeout: "90", write_timeout: "1m30s", read_timeout: "250ms" },
    { execMs: 90_000, writeMs: 90_000, readMs: 250 },
  ],
  [{ exec_timeout: "0s", write_timeout: "", read_timeout: "soon" }, undefined],
  [{ exec_timeout: "1000h" }, { execMs: 596 * 3600e3 }],
])("%j has the limits %j", (env, expected) => {
  expect(readTimeouts(env)).toEqual(expected);
});

const ANNOTATION = "com.faaslane.timeout";

test.each<[rule: string, env: Strings, annotations: Strings, gateway: WaitLimits, expectedMs: number]>([
  ["what says nothing gets the gateway's", {}, {}, { timeoutMs: 60_000 }, 60_000],
  ["a longer limit wins, with time for its own 504", { exec_timeout: "10m" }, {}, { timeoutMs: 60_000 }, 605_000],
  ["the longest of its own counts", { exec_timeout: "1m", write_timeout: "5m" }, {}, { timeoutMs: 60_000 }, 305_000],
  ["one that ends with the gateway's is told so by itself", { exec_timeout: "60s" }, {}, { timeoutMs: 60_000 }, 65_000],
  ["a shorter one changes nothing", { exec_timeout: "5s" }, {}, { timeoutMs: 60_000 }, 60_000],
  ["time to send a request is none to answer", { read_timeout: "10m" }, {}, { timeoutMs: 60_000 }, 60_000],
  ["the annotation says it all", { exec_timeout: "10m" }, { [ANNOTATION]: "5s" }, { timeoutMs: 60_000 }, 5_000],
  ["a longer one too", {}, { [ANNOTATION]: "1h" }, { timeoutMs: 60_000 }, 3_600_000],
  ["but not below a minimum", {}, { [ANNOTATION]: "5s" }, { timeoutMs: 60_000, leastTimeoutMs: 60_000 }, 60_000],
  ["a malformed annotation is none", {}, { [ANNOTATION]: "soon" }, { timeoutMs: 60_000 }, 60_000],
  ["it fits into a timer", { exec_timeout: "9999h" }, {}, { timeoutMs: 60_000 }, 596 * 3600e3 + 5_000],
])("%s", (_rule, env, annotations, gateway, expectedMs) => {
  expect(answerTimeoutMs({ annotations, timeouts: readTimeouts(env) }, gateway)).toBe(expectedMs);
});

test.each(["", "soon", "-5s", "0", "0s", "597h", "1m 30s"])("the annotation %j is refused", (text) => {
  expect(timeoutProblems({ [ANNOTATION]: text })).toEqual([
    `annotations.${ANNOTATION}: "${text}" must be a duration such as 90s or 10m, more than 0 and at most 596h`,
  ]);
});

test.each([undefined, {}, { [ANNOTATION]: "90" }, { [ANNOTATION]: "10m" }])(
  "annotations %j are fine",
  (annotations) => {
    expect(timeoutProblems(annotations)).toEqual([]);
  },
);

test.each<[env: Strings, annotations: Strings, warnings: string[]]>([
  [{}, {}, []],
  [{ exec_timeout: "10m", write_timeout: "10m", read_timeout: "10m" }, {}, []],
  [{ exec_timeout: "10m", write_timeout: "10m" }, { [ANNOTATION]: "10m" }, []],
  [{ exec_timeout: "30s" }, {}, []],
  [
    { exec_timeout: "10m", write_timeout: "1m" },
    {},
    ["exec_timeout: 10m does not hold, write_timeout ends the answer after 1m"],
  ],
  [
    { exec_timeout: "10m" },
    {},
    ["exec_timeout: 10m does not hold, write_timeout, which is not set, ends the answer after 30s"],
  ],
  [
    { read_timeout: "5m", write_timeout: "90s" },
    {},
    ["read_timeout: 5m does not hold, write_timeout ends the answer after 1m30s"],
  ],
  [
    { exec_timeout: "10m", write_timeout: "11m" },
    { [ANNOTATION]: "1m" },
    [`exec_timeout: 10m does not hold, ${ANNOTATION} lets gateways give up after 1m`],
  ],
  [
    { write_timeout: "5m" },
    { [ANNOTATION]: "1m" },
    [`write_timeout: 5m does not hold, ${ANNOTATION} lets gateways give up after 1m`],
  ],
  [{ exec_timeout: "ten" }, {}, ['exec_timeout: "ten" is not a duration such as 90s or 10m']],
])("environment %j with annotations %j is warned of", (env, annotations, warnings) => {
  expect(timeoutWarnings(env, annotations)).toEqual(warnings);
});
