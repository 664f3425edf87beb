import { expect, test } from "@jest/globals";
import { parseDescriptor } from "../../../contract/descriptor.ts";
import { SCALE_DEFAULTS } from "../../../contract/scale-policy.ts";
import { decideRestart } from "../../../provider/backends/local/backoff.ts";
import { isUnchanged, normaliseDeployment } from "../../../provider/backends/local/definition.ts";
import { buildProcessEnvironment, drainGraceMs } from "../../../provider/backends/local/environment.ts";
import { parseArtefactReference } from "../../../provider/backends/local/images.ts";
import { heapArguments } from "../../../provider/backends/local/memory-limit.ts";
import { describeKind, describeProblem, tellingLine } from "../../../provider/backends/local/problem.ts";
import { parseProcStat } from "../../../provider/backends/local/processes.ts";
import { decideRollout, type ReplicaView } from "../../../provider/backends/local/rollout.ts";
import { buildEndpoints, buildStatus } from "../../../provider/backends/local/status.ts";
import { parseResidentBytes } from "../../../provider/backends/local/usage.ts";
import { parseQuantity } from "../../../provider/backends/quantity.ts";
import { readScaleBounds, type ScaleBounds, scaleProblems } from "../../../provider/backends/scale-labels.ts";

const replica = (instance: string, generation: number, state: ReplicaView["state"], proven = state === "ready") => ({
  instance,
  generation,
  state,
  proven,
  order: instance.charCodeAt(0),
});

test.each<[rule: string, replicas: ReplicaView[], wanted: number, start: number, stop: string[]]>([
  ["starts what is missing", [], 2, 2, []],
  ["counts those that start or wait", [replica("a", 2, "starting"), replica("b", 2, "waiting")], 2, 0, []],
  ["does not count those that go", [replica("a", 2, "draining"), replica("b", 2, "gone")], 1, 1, []],
  ["sheds the youngest", [replica("a", 2, "ready"), replica("b", 2, "ready")], 1, 0, ["b"]],
  ["sheds what is not ready first", [replica("a", 2, "waiting"), replica("b", 2, "ready")], 1, 0, ["a"]],
  ["stops all at zero, of any generation", [replica("a", 1, "ready"), replica("b", 2, "ready")], 0, 0, ["b", "a"]],
  ["keeps the old while the new start", [replica("a", 1, "ready"), replica("b", 2, "starting")], 1, 0, []],
  ["lets the old go when the new serve", [replica("a", 1, "ready"), replica("b", 2, "ready")], 1, 0, ["a"]],
  [
    "replaces one by one",
    [replica("a", 1, "ready"), replica("b", 1, "ready"), replica("c", 2, "ready"), replica("d", 2, "starting")],
    2,
    0,
    ["b"],
  ],
  [
    "does not wait for an old one that never served",
    [replica("a", 1, "starting"), replica("b", 2, "starting")],
    1,
    0,
    ["a"],
  ],
  ["keeps an old one that restarts", [replica("a", 1, "waiting", true), replica("b", 2, "starting")], 1, 0, []],
])("a rollout %s", (_rule, replicas, wanted, start, stop) => {
  expect(decideRollout(replicas, wanted, 2)).toEqual({ start, stop });
});

const at = (view: ReplicaView, address: string): ReplicaView => ({ ...view, address });
const three = [
  at(replica("a", 2, "ready"), "h:1"),
  at(replica("b", 2, "ready"), "h:2"),
  at(replica("c", 2, "ready"), "h:3"),
];

test.each<[rule: string, replicas: ReplicaView[], inFlight: Record<string, number>, stop: string[]]>([
  ["idle ones before busy ones", three, { "h:3": 1 }, ["b", "a"]],
  ["those with fewer calls first", three, { "h:1": 2, "h:2": 1, "h:3": 3 }, ["b", "a"]],
  ["the youngest of equals", three, { "h:1": 5, "h:2": 5, "h:3": 5 }, ["c", "b"]],
  [
    "those not ready first, whatever was known of them",
    [...three.slice(0, 2), at(replica("c", 2, "waiting"), "h:3")],
    { "h:3": 9, "h:2": 1 },
    ["c", "a"],
  ],
  ["the youngest when nothing is known of their addresses", three, { "h:9": 1 }, ["c", "b"]],
])("scaling down sheds %s", (_rule, replicas, inFlight, stop) => {
  expect(decideRollout(replicas, 1, 2, inFlight)).toEqual({ start: 0, stop });
});

test("a rollout lets idle ones of an earlier generation go first", () => {
  const old = [at(replica("a", 1, "ready"), "h:1"), at(replica("b", 1, "ready"), "h:2")];
  const next = [replica("c", 2, "ready"), replica("d", 2, "starting")];
  expect(decideRollout([...old, ...next], 2, 2, { "h:2": 1 })).toEqual({ start: 0, stop: ["a"] });
});

const backoff = { firstMs: 100, maxMs: 10_000, stableMs: 5_000 };
test.each<[rule: string, failures: number, readyMs: number, expected: { failures: number; delayMs: number }]>([
  ["the first end costs little", 0, 0, { failures: 1, delayMs: 100 }],
  ["each further one costs twice as much", 3, 0, { failures: 4, delayMs: 800 }],
  ["there is a limit", 40, 0, { failures: 41, delayMs: 10_000 }],
  ["a short success does not count", 3, 4_999, { failures: 4, delayMs: 800 }],
  ["a sound process starts the count anew", 3, 5_000, { failures: 1, delayMs: 100 }],
  ["what has served for less than was waited for it does not count", 30, 9_999, { failures: 31, delayMs: 10_000 }],
  ["what has served for as long as was waited for it does", 30, 10_000, { failures: 1, delayMs: 100 }],
])("restarts: %s", (_rule, failures, readyMs, expected) => {
  expect(decideRestart(failures, readyMs, backoff)).toEqual(expected);
});

const seen = (failedStarts: number, state: ReplicaView["state"] = "waiting", generation = 2) => ({
  ...replica(`r${failedStarts}`, generation, state),
  address: state === "ready" ? "127.0.0.1:1" : undefined,
  problem: state === "ready" ? undefined : "exited with code 1; last output: no licence",
  problemKind: state === "ready" ? undefined : "exited with code 1",
  notice: undefined,
  failedStarts,
});
const record = {
  name: "fn",
  namespace: "ns",
  digest: "d",
  replicas: 1,
  uid: 1,
  generation: 2,
  createdAt: "",
  deployment: { service: "fn", image: "x", namespace: "ns" },
};

test.each<[what: string, replicas: ReturnType<typeof seen>[], told: boolean]>([
  ["wait for one that has just died", [seen(0)], false],
  ["wait for one that has failed to start twice", [seen(2)], false],
  ["are told of one that has failed to start three times", [seen(3)], true],
  ["are told of it while it starts once more", [seen(3, "starting")], true],
  ["wait while another may come up", [seen(9), seen(1, "starting")], false],
  ["wait while one of an earlier version may come back", [seen(9), seen(0, "waiting", 1)], false],
  ["are told although others of its kind drain", [seen(9), seen(0, "draining")], true],
  ["are not told while one serves", [seen(9), seen(0, "ready")], false],
])("callers %s", (_what, replicas, told) => {
  expect(buildEndpoints(record, replicas).problem).toBe(told ? "exited with code 1" : undefined);
});

test("people are told of the first death", () => {
  expect(buildStatus(record, [seen(0)]).problem).toBe("exited with code 1; last output: no licence");
});

const RULES = { maxReplicas: 10, scaleDefaults: SCALE_DEFAULTS };

test.each<[labels: Record<string, string> | undefined, expected: ScaleBounds]>([
  [undefined, { min: 0, initial: 1 }],
  [
    { "com.openfaas.scale.min": "2", "com.openfaas.scale.max": "5" },
    { min: 2, initial: 2 },
  ],
  [{ "com.openfaas.scale.min": "0" }, { min: 0, initial: 1 }],
  [
    { "com.openfaas.scale.min": "2", "com.faaslane.scale.initial": "4" },
    { min: 2, initial: 4 },
  ],
])("scale labels %j", (labels, expected) => {
  expect(scaleProblems({ labels }, RULES)).toEqual([]);
  expect(readScaleBounds({ labels }, RULES)).toEqual(expected);
});

test.each<[labels: Record<string, string>, problem: string]>([
  [{ "com.openfaas.scale.min": "1.5" }, 'com.openfaas.scale.min: "1.5" must be a whole number of at least 0'],
  [{ "com.openfaas.scale.max": "" }, 'com.openfaas.scale.max: "" must be a whole number of at least 1'],
  [{ "com.openfaas.scale.min": "11" }, "com.openfaas.scale.min: 11 is over the limit of 10 replicas"],
  [{ "com.faaslane.scale.initial": "11" }, "com.faaslane.scale.initial: 11 is over the limit of 10 replicas"],
])("scale labels %j are refused", (labels, problem) => {
  expect(scaleProblems({ labels }, RULES)).toEqual([problem]);
});

test.each([
  ["fn", { name: "fn", tag: "latest" }],
  ["team/fn:1.2", { name: "team/fn", tag: "1.2" }],
  ["registry:5000/team/fn", { name: "registry:5000/team/fn", tag: "latest" }],
  ["registry:5000/team/fn:1", { name: "registry:5000/team/fn", tag: "1" }],
  ["team/fn:1@sha256:abc", { name: "team/fn", tag: "1", digest: "abc" }],
  ["team/fn@sha256:abc", { name: "team/fn", tag: "latest", digest: "abc" }],
])("image %s", (image, expected) => {
  expect(parseArtefactReference(image)).toEqual(expected);
});

test.each<[string, number | undefined]>([
  ["128Mi", 128 * 2 ** 20],
  ["1Ki", 1024],
  ["64M", 64e6],
  ["1.5Gi", 1.5 * 2 ** 30],
  ["1e9", 1e9],
  ["5E", 5e18],
  ["100", 100],
  ["500m", 0.5],
  ["lots", undefined],
  ["-1Mi", undefined],
  ["", undefined],
])("quantity %j", (text, bytes) => {
  expect(parseQuantity(text)).toBe(bytes);
});

test("only a handler in the watchdog's process gets a heap limit, and never one it cannot start with", () => {
  expect(heapArguments("128Mi", { mode: "inproc" })).toEqual(["--max-old-space-size=96"]);
  expect(heapArguments("1Mi", { mode: "inproc" })).toEqual(["--max-old-space-size=32"]);
  expect(heapArguments("128Mi", { mode: "http" })).toEqual([]);
  expect(heapArguments(undefined, { mode: "inproc" })).toEqual([]);
});

149;
const place = { code: "/code", secrets: "/secrets", tmp: "/tmp/own", mark: "0123.fn-1-ab" };
test("a replica's environment holds nothing of the platform but paths and locale", () => {
  const platform = { PATH: "/bin", LANG: "C", TZ: "", HOME: "/root", NODE_OPTIONS: "--inspect", basic_auth: "true" };
  const env = buildProcessEnvironment(platform, {}, { service: "fn", image: "x", namespace: "ns" }, place);
  expect(env).toEqual({
    PATH: "/bin",
    LANG: "C",
    HOME: "/code",
    TMPDIR: "/tmp/own",
    healthcheck_interval: "0s",
    port: "0",
    metrics_port: "0",
    bind_address: "127.0.0.1",
    OPENFAAS_NAME: "fn",
    OPENFAAS_NAMESPACE: "ns",
    FAASLANE_SECRETS_DIR: "/secrets",
    FAASLANE_MARK: "0123.fn-1-ab",
  });
});

test("a replica without a path of the platform's still finds programs", () => {
  const { PATH } = buildProcessEnvironment({}, {}, { service: "fn", image: "x", namespace: "ns" }, place);
  expect(PATH).toContain("/usr/bin");
});

test.each<[Record<string, string>, number]>([
  [{}, 33_000],
  [{ write_timeout: "10s", healthcheck_interval: "5s" }, 18_000],
  [{ write_timeout: "100ms", healthcheck_interval: "0s" }, 3_100],
  [{ write_timeout: "soon" }, 33_000],
])("with %j a replica may drain for %d ms", (env, ms) => {
  expect(drainGraceMs(env)).toBe(ms);
});

test.each<[string, string[], string | undefined]>([
  ["nothing", [], undefined],
  [
    "a crash of node",
    ["file:///index.mjs:1", "    throw new Error()", "Error: no key", "    at x", "Node.js v24"],
    "Error: no key",
  ],
  ["a crash of python", ["Traceback (most recent call last):", '  File "x"', "KeyError: 'a'"], "KeyError: 'a'"],
  ["no error", ["one", "two"], "two"],
])("the telling line of %s", (_case, lines, expected) => {
  expect(tellingLine(lines)).toBe(expected);
});

test("a problem is one short line without control characters", () => {
  expect(describeProblem({ kind: "exited", code: 1 }, 0, undefined)).toBe("exited with code 1");
  expect(describeProblem({ kind: "exited", code: 1 }, 5, "bad\u001b[0m\tthing")).toBe(
    "exited with code 1, 5 restarts; last output: bad [0m thing",
  );
  expect(describeProblem({ kind: "killed", signal: "SIGSEGV" }, 1, "  ")).toBe("was killed by SIGSEGV, 1 restart");
  expect(describeProblem({ kind: "silent", afterMs: 60_000 }, 0, undefined)).toBe(
    "did not start listening within 60 s",
  );
  expect(describeProblem({ kind: "failed", message: "x" }, 0, "y".repeat(1000)).length).toBeLessThan(300);
});

test("what anybody may know of an end is its kind", () => {
  expect(describeKind({ kind: "exited", code: 1 }, 0)).toBe("exited with code 1");
  expect(describeKind({ kind: "failed", message: "spawn /srv/secret-place ENOENT" }, 2)).toBe(
    "could not be started, 2 restarts",
  );
});

test("two deployments that mean the same are the same", () => {
  const record = {
    name: "fn",
    namespace: "ns",
    digest: "d",
    replicas: 1,
    uid: 1,
    generation: 1,
    createdAt: "",
    deployment: normaliseDeployment({
      service: "fn",
      image: "x",
      namespace: "ns",
      envVars: { a: "1", b: "" },
      secrets: ["b", "a", "a"],
      labels: {},
      limits: { memory: "1Mi" },
      readOnlyRootFilesystem: false,
    }),
  };
  expect(record.deployment).toEqual({
    service: "fn",
    image: "x",
    namespace: "ns",
    envVars: { a: "1", b: "" },
    secrets: ["a", "b"],
    limits: { memory: "1Mi" },
  });
  const same = { service: "fn", image: "x", namespace: "ns", envVars: { b: "", a: "1" }, secrets: ["a", "b"] };
  const again = { ...same, limits: { memory: "1Mi" }, constraints: [], envProcess: "" };
  expect(isUnchanged(record, normaliseDeployment(again), "d")).toBe(true);
  expect(isUnchanged(record, normaliseDeployment(again), "e")).toBe(false);
  expect(isUnchanged(record, normaliseDeployment(same), "d")).toBe(false);
});

test.each<[string, RegExp]>([
  ["{", /^faaslane\.json: /],
  ["[]", /^faaslane\.json: must be an object$/],
  [`{"requires":"python3"}`, /requires/],
  [`{"requires":["../sh"]}`, /requires\.0: must be the name of a program/],
  [`{"install":[]}`, /install/],
  [`{"env":{"a":1}}`, /env\.a/],
  [`{"env":{"a=b":"1"}}`, /env/],
  [`{"instal":["make"]}`, /instal/],
])("descriptor %s is refused", (text, message) => {
  expect(() => parseDescriptor(text)).toThrow(message);
});

test("an empty descriptor asks for nothing", () => {
  expect(parseDescriptor("{}")).toEqual({ requires: [], env: {} });
});

test("what /proc says is read whatever a program calls itself", () => {
  const rest = Array.from({ length: 40 }, (_, n) => n).join(" ");
  expect(parseProcStat(`12 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 50 6 ${rest}`)).toEqual({
    pid: 12,
    parent: 1,
    group: 7,
    state: "S",
    cpuTicks: 56,
    residentPages: 8,
  });
  expect(parseProcStat("")).toBeUndefined();
  expect(parseResidentBytes("Name:\tx\nVmRSS:\t    2048 kB\n")).toBe(2048 * 1024);
  expect(parseResidentBytes("Name:\tzombie\n")).toBe(0);
});
