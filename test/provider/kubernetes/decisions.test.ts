import { describe, expect, test } from "@jest/globals";
import type { V1Pod } from "@kubernetes/client-node";
import type { LogMessage } from "../../../contract/logs.ts";
import { isOlder } from "../../../provider/backends/kubernetes/cache/informer-cache.ts";
import { decideInterval } from "../../../provider/backends/kubernetes/cache/prober.ts";
import { hasStatus, readApiError } from "../../../provider/backends/kubernetes/client/api-error.ts";
import { readLines } from "../../../provider/backends/kubernetes/client/lines.ts";
import {
  decideResend,
  type FailedRequest,
  readRetryAfter,
} from "../../../provider/backends/kubernetes/client/retry.ts";
import { decidePause } from "../../../provider/backends/kubernetes/client/watcher.ts";
import { mergeByTime } from "../../../provider/backends/kubernetes/pods/logs.ts";
import { probeTarget } from "../../../provider/backends/kubernetes/resources/probe-target.ts";

describe("what the API server refuses", () => {
  const body = JSON.stringify({ kind: "Status", reason: "Some", message: "because" });
  test.each([
    [400, "invalid", "because"],
    [403, "forbidden", "because"],
    [404, "notFound", "because"],
    [409, "conflict", "because"],
    [422, "invalid", "because"],
    [401, "unavailable", "the Kubernetes API is not available: because"],
    [429, "unavailable", "the Kubernetes API is not available: because"],
    [500, "unavailable", "the Kubernetes API is not available: because"],
    [504, "unavailable", "the Kubernetes API is not available: because"],
  ])("with %d is told as %s", (status, kind, message) => {
    const error = readApiError(status, body);
    expect(error).toMatchObject({ name: "FaasError", kind, message, reason: "Some" });
    expect(hasStatus(error, status)).toBe(true);
  });

  test("in words that are no Status is told by its number", () => {
    expect(readApiError(502, "<html>bad gateway</html>").message).toBe(
      "the Kubernetes API is not available: answered with status 502",
    );
  });
});

describe("a pod is asked whether it answers", () => {
  const pod = (status: V1Pod["status"], metadata: V1Pod["metadata"] = {}): V1Pod => ({
    metadata: { uid: "u", name: "p", ...metadata },
    status: { podIP: "10.0.0.1", phase: "Running", ...status },
  });
  const container = (restartCount: number, state: object, lastState?: object) => ({
    name: "fn",
    image: "",
    imageID: "",
    ready: false,
    restartCount,
    state,
    ...(lastState && { lastState }),
  });
  const ended = { terminated: { exitCode: 1 } };

  test.each<[when: string, pod: V1Pod, run: string | undefined]>([
    ["once it has an address", pod({}), "u/0"],
    ["anew after each restart", pod({ containerStatuses: [container(2, { running: {} }, ended)] }), "u/2"],
    ["not before it has an address", { metadata: { uid: "u" }, status: { phase: "Pending" } }, undefined],
    ["not once it is Ready", pod({ conditions: [{ type: "Ready", status: "True" }] }), undefined],
    ["not when it goes", pod({}, { deletionTimestamp: new Date(0) }), undefined],
    ["not when it has ended", pod({ phase: "Failed" }), undefined],
    ["not while its container is down", pod({ containerStatuses: [container(0, ended)] }), undefined],
    [
      "not while its container waits to be started again",
      pod({ containerStatuses: [container(1, { waiting: { reason: "CrashLoopBackOff" } }, ended)] }),
      undefined,
    ],
  ])("%s", (_when, given, run) => {
    expect(probeTarget(given)?.run).toBe(run);
  });

  test("where it has announced itself, until the API shows an address", () => {
    const unknown = pod({ phase: "Pending" });
    delete unknown.status?.podIP;
    expect(probeTarget(unknown, "10.0.0.9")).toMatchObject({ run: "u/0", ip: "10.0.0.9" });
    expect(probeTarget(pod({}), "10.0.0.9")).toMatchObject({ run: "u/0", ip: "10.0.0.1" });
    expect(probeTarget(pod({ phase: "Failed" }), "10.0.0.1")).toBeUndefined();
  });

  test("closely at first, then less, and less when there are many", () => {
    expect([0, 2_999, 3_000, 15_000].map((ms) => decideInterval(ms, 1))).toEqual([25, 25, 100, 1_000]);
    expect(decideInterval(0, 5_000)).toBe(2_500);
  });
});

test("a text that does not fit an object's types is the request's fault, with whatever status it is refused", () => {
  const message = "failed to create typed patch object (n/fn; apps/v1, Kind=Deployment): .spec.x: field not declared";
  const error = readApiError(500, JSON.stringify({ kind: "Status", message }));
  expect(error).toMatchObject({ kind: "invalid", status: 500, message });
});

describe("a request that failed is sent again", () => {
  const failed = { method: "GET", status: 500, attempts: 1, elapsedMs: 0 };
  test.each<[rule: string, given: Partial<FailedRequest>, waitMs: number | undefined]>([
    [
      "when it was turned away, after as long as was asked",
      { method: "PATCH", status: 429, retryAfterMs: 3_000 },
      3_000,
    ],
    ["when it was turned away, after a second", { method: "POST", status: 429 }, 1_000],
    ["when an answer asked for it", { method: "PUT", status: 503, retryAfterMs: 2_000 }, 2_000],
    ["when it reads", {}, 100],
    ["when it was turned away, never at once", { status: 429, retryAfterMs: 0 }, 100],
    ["when it reads, after longer and longer", { attempts: 2 }, 200],
    ["not when it has read three times", { attempts: 3 }, undefined],
    ["not when it wrote and nobody knows what happened", { method: "PATCH" }, undefined],
    ["not when its fault is lasting", { status: 404 }, undefined],
    ["not when it was asked to wait for long", { status: 429, retryAfterMs: 11_000 }, undefined],
    ["not when it has been tried for long", { status: 429, elapsedMs: 9_500 }, undefined],
  ])("%s", (_rule, given, waitMs) => {
    expect(decideResend({ ...failed, ...given }, 0)).toBe(waitMs);
  });

  test("and not by all at the same time", () => {
    expect(decideResend({ ...failed, status: 429 }, 0.8)).toBe(1_200);
  });

  test.each<[header: string | undefined, waitMs: number | undefined]>([
    ["3", 3_000],
    ["0", 0],
    ["Thu, 01 Jan 1970 00:00:05 GMT", 4_000],
    ["soon", undefined],
    ["-1", undefined],
    ["9999999", undefined],
    [undefined, undefined],
  ])("after what the header asks for, if it is sensible: %s", (header, waitMs) => {
    expect(readRetryAfter(header, 1_000)).toBe(waitMs);
  });
});

test("pauses between tries grow to 10 s, half of them by chance", () => {
  expect([0, 1, 2, 30].map((failures) => decidePause(failures, 1))).toEqual([50, 100, 200, 10_000]);
  expect([0, 1, 2, 30].map((failures) => decidePause(failures, 0))).toEqual([25, 50, 100, 5_000]);
});

test("versions are compared as the numbers that they are", () => {
  const version = (resourceVersion: string) => ({ metadata: { resourceVersion } });
  expect(isOlder(version("9"), version("10"))).toBe(true);
  expect(isOlder(version("10"), version("9"))).toBe(false);
  expect(isOlder(version("10"), version("10"))).toBe(false);
});

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

describe("lines", () => {
  async function* bytes(...chunks: (string | Buffer)[]) {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const euro = Buffer.from("€");

  test("come whole, however they were sent", async () => {
    const source = bytes("a", "b\nc\n\n", euro.subarray(0, 1), euro.subarray(1), "\nrest");
    expect(await all(readLines(source, { limitChars: 100, whole: false }))).toEqual(["ab", "c", "", "€", "rest"]);
  });

  test("that have no end are left out where only whole ones count, and long ones are cut", async () => {
    expect(await all(readLines(bytes("abc", "def\nrest"), { limitChars: 4, whole: true }))).toEqual(["abcd"]);
  });
});

test("logs of several pods are merged by time", async () => {
  async function* log(instance: string, ...times: string[]): AsyncGenerator<LogMessage> {
    for (const timestamp of times) yield { name: "fn", namespace: "n", instance, timestamp, text: "\n" };
  }
  const merged = await all(mergeByTime([log("a", "1", "4"), log("b", "2", "3", "5"), log("c")]));
  expect(merged.map(({ timestamp }) => timestamp).join("")).toBe("12345");
});
