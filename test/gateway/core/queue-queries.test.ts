import { describe, expect, test } from "@jest/globals";
import { readQueueName } from "../../../gateway/async/intake/queue-name.ts";
import { type CallPath, parseCallPath } from "../../../gateway/core/call-path.ts";
import { MAX_WAIT_MS, readCallQuery } from "../../../gateway/core/call-query.ts";
import {
  type DeadLetterSelection,
  type Parameters,
  readDeadLetterPage,
  readDeadLetterSelection,
} from "../../../gateway/core/dead-letter-query.ts";

const NOW = Date.parse("2030-06-01T12:00:00Z");
const invalid = (message: RegExp) =>
  expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) });

describe("the path of a call", () => {
  test.each<[url: string, expected: CallPath | undefined]>([
    ["/async-function/abc", { id: "abc", result: false, query: "" }],
    ["/async-function/a%2Fb/result?wait=1", { id: "a/b", result: true, query: "wait=1" }],
    ["/async-function/?x", undefined],
    ["/async-function/abc/", undefined],
    ["/async-function/abc/results", undefined],
    ["/async-function/abc/result/x", undefined],
    ["/async-function/%zz", undefined],
    [`/async-function/${"a".repeat(257)}`, undefined],
  ])("%s", (url, expected) => {
    expect(parseCallPath(url, "/async-function/")).toEqual(expected);
  });
});

describe("the query of a call", () => {
  test.each<[query: string, expected: { result: boolean; waitMs: number }]>([
    ["", { result: false, waitMs: 0 }],
    ["result=true&wait=30s", { result: true, waitMs: 30_000 }],
    ["result=false&wait=5", { result: false, waitMs: 5_000 }],
    ["wait=10h", { result: false, waitMs: MAX_WAIT_MS }],
  ])("%s", (query, expected) => {
    expect(readCallQuery(query)).toEqual(expected);
  });

  test.each<[query: string, message: RegExp]>([
    ["result=1", /^result: must be true or false/],
    ["wait=", /^wait: must be a duration/],
    ["wait=-1s", /^wait: must be a duration/],
  ])("%s is refused", (query, message) => {
    expect(() => readCallQuery(query)).toThrow(invalid(message));
  });
});

describe("which dead letters", () => {
  const select = (given: Parameters) => readDeadLetterSelection(given, "openfaas-fn", NOW);

  test.each<[given: Parameters, expected: DeadLetterSelection]>([
    [{ id: "a" }, { id: "a" }],
    [{ function: "f" }, { function: { name: "f", namespace: "openfaas-fn" } }],
    [{ function: "f.dev" }, { function: { name: "f", namespace: "dev" } }],
    [{ function: "f", namespace: "dev" }, { function: { name: "f", namespace: "dev" } }],
    [
      { since: "2030-06-01T00:00:00Z", until: "1h" },
      { since: NOW - 12 * 3600e3, until: NOW - 3600e3 },
    ],
    [{ since: "1906545600" }, { since: 1906545600000 }],
    [{ all: "true" }, {}],
    [{ id: "a", all: "false" }, { id: "a" }],
  ])("%j", (given, expected) => {
    expect(select(given)).toEqual(expected);
  });

  test.each<[given: Parameters, message: RegExp]>([
    [{}, /^all: must be true unless one of id, function, namespace, since, until is given/],
    [{ all: "yes" }, /^all: must be true or false/],
    [{ all: "true", id: "a" }, /^all: must not be combined/],
    [{ namespace: "dev" }, /^namespace: needs function/],
    [{ function: "a b" }, /^function: must be name or name.namespace/],
    [{ since: "yesterday" }, /^since: must be a time/],
    [{ since: "1h", until: "2h" }, /^until: must be later than since/],
    [{ functoin: "f", all: "true" }, /^functoin: is unknown/],
    [{ limit: "3", all: "true" }, /^limit: is unknown/],
  ])("%j is refused", (given, message) => {
    expect(() => select(given)).toThrow(invalid(message));
  });

  test("a page is of 100 unless it says otherwise, up to 1,000", () => {
    const page = (given: Parameters) => readDeadLetterPage(given, "openfaas-fn", NOW);
    expect(page({})).toEqual({ filter: {}, page: { limit: 100 } });
    expect(page({ limit: "1000", after: "x", id: "a" })).toEqual({
      filter: { id: "a" },
      page: { limit: 1000, after: "x" },
    });
    for (const limit of ["0", "1001", "-1", "ten"]) expect(() => page({ limit })).toThrow(invalid(/^limit: must be/));
    expect(() => page({ all: "true" })).toThrow(invalid(/^all: is unknown/));
  });
});

test.each<[annotation: string | undefined, queue: string, problem: boolean]>([
  [undefined, "faas-request", false],
  ["", "faas-request", false],
  [" slow-fns_2 ", "slow-fns_2", false],
  ["Slow", "faas-request", true],
  ["a.b", "faas-request", true],
  ["a".repeat(64), "faas-request", true],
])("the annotation %j gives the queue %s", (annotation, queue, problem) => {
  const annotations: Record<string, string> = annotation === undefined ? {} : { "com.openfaas.queue": annotation };
  const read = readQueueName(annotations, "faas-request");
  expect([read.queue, read.problem !== undefined]).toEqual([queue, problem]);
});
