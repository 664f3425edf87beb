import { expect, test } from "@jest/globals";
import { parseScalePolicy } from "../../contract/scale-policy.ts";
import { decodeScalingWhatIf } from "../../contract/scaling.ts";
import type { Sample } from "../../gateway/core/scaling/sample.ts";
import { buildWhatIf, readWhatIf } from "../../gateway/routes/scaling-what-if.ts";

const NOON = Date.parse("2030-01-31T12:00:00Z");
const HOUR_MS = 3600_000;

/** So many calls a second for a while, at one replica. */
function steady(seconds: number, started: number): Sample[] {
  const sample = { concurrency: 1, started, inFlight: 1, held: 0, queued: 0, replicas: 1, ready: 1 };
  return Array.from({ length: seconds }, (_, second) => ({ ...sample, t: NOON + second * 1_000 }));
}

test("what would have been is told beside what was", () => {
  const policy = parseScalePolicy({ "com.openfaas.scale.target": "10" });
  const found = decodeScalingWhatIf(buildWhatIf(steady(120, 45), policy, { startMs: 1_000 }));
  expect(found).toMatchObject({ type: "rps", settings: { target: 10, max: 20 } });
  expect(found.points).toHaveLength(120);
  // 45 calls a second, of which a replica takes 9.
  expect(found.points.at(-1)).toMatchObject({ load: 45, wanted: 5, ready: 5, recorded: 1 });
  expect(found.recorded).toMatchObject({ changes: 0, replicaSeconds: 119, overloadedSeconds: 119 });
  expect(found.simulated.overloadedSeconds).toBeLessThan(20);
});

test("an hour is told in few points, in which a short peak shows", () => {
  const history = steady(3_600, 1).map((sample, at) => (at === 1_801 ? { ...sample, started: 500 } : sample));
  const { points } = buildWhatIf(history, parseScalePolicy({}), { startMs: 0 });
  expect(points.length).toBeLessThanOrEqual(601);
  expect(Math.max(...points.map(({ load }) => load))).toBe(500);
});

test("where nothing was recorded there is nothing to tell", () => {
  const found = buildWhatIf([], parseScalePolicy({}), { startMs: 0 });
  expect([found.points, found.simulated.changes]).toEqual([[], 0]);
});

test("settings are named as the command line names them, and the time is at most an hour", () => {
  expect(readWhatIf({ set: ["target=20", "up-delay=1m", "com.openfaas.scale.max=5"], start: "2s" }, NOON)).toEqual({
    labels: {
      "com.openfaas.scale.target": "20",
      "com.faaslane.scale.up-delay": "1m",
      "com.openfaas.scale.max": "5",
    },
    startMs: 2_000,
    since: NOON - HOUR_MS,
  });
  expect(readWhatIf({ since: "10m" }, NOON).since).toBe(NOON - 600_000);
  expect(readWhatIf({ since: "2000-01-01T00:00:00Z" }, NOON).since).toBe(NOON - HOUR_MS);
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ set: "target" }, /^set: must be NAME=VALUE/],
  [{ set: { a: "1" } }, /^set: must be text/],
  [{ set: Array(51).fill("target=1") }, /^set: must be given at most 50 times/],
  [{ start: "soon" }, /^start: must be a duration/],
  [{ start: "2h" }, /^start: must be a duration of at most 1h/],
  [{ since: "yesterday" }, /^since: must be a time/],
  [{ sett: "target=1" }, /^sett: is unknown/],
])("the question %j is refused", (query, message) => {
  expect(() => readWhatIf(query, NOON)).toThrow(message);
});

test("settings that are wrong are named", () => {
  const policy = parseScalePolicy({ "com.openfaas.scale.target": "many", "com.faaslane.scale.tarjet": "1" });
  expect(() => buildWhatIf([], policy, { startMs: 0 })).toThrow(
    /^set: .*tarjet.*no such setting.*target: "many" must/s,
  );
});
