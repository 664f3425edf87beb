import { expect, test } from "@jest/globals";
import { TrialCounts } from "../../../gateway/core/rollout/trial-counts.ts";
import { LoadMeter } from "../../../gateway/core/scaling/load-meter.ts";
import { defaultWorkers, parseWorkers } from "../../../gateway/process/workers-config.ts";
import { FunctionMeter } from "../../../gateway/proxy/function-meter.ts";

test("what meters of several threads have counted adds up, and nothing twice", () => {
  const whole = new FunctionMeter();
  const part = new FunctionMeter();
  whole.start();
  whole.end(200, 0.02);
  part.start();
  part.start();
  part.end(500, 3);
  part.answered(0.001);
  part.waited(1);
  part.firstByte(2, true);
  const first = part.take();
  if (!first) throw new Error("nothing counted");
  whole.add(first);
  expect(part.take()).toBeUndefined();
  part.end(200, 0.02);
  const second = part.take();
  if (!second) throw new Error("nothing counted");
  whole.add(second);
  expect([whole.started, whole.ended, whole.inFlight]).toEqual([3, 3, 0]);
  expect([...whole.codes].map(([code, { count, sum }]) => [code, count, sum])).toEqual([
    [200, 2, 0.04],
    [500, 1, 3],
  ]);
  expect(whole.codes.get(200)?.buckets[2]).toBe(2);
  expect([whole.firstBytes.count, whole.waits?.count, whole.cold?.count]).toEqual([1, 1, 1]);
});

test("what threads have counted of a rollout adds up, and only of the step that is under way", () => {
  const whole = new FunctionMeter();
  const part = new FunctionMeter();
  const count = (status: number) => {
    part.start();
    part.end(status, 0.02);
    part.trial?.observe(status, 20, false);
  };
  const hand = () => {
    const report = structuredClone(part.take());
    if (report) whole.add(report);
  };
  count(500);
  hand();
  expect(whole.trial).toBeUndefined();
  [whole.trial, part.trial] = [new TrialCounts("1/1/0"), new TrialCounts("1/1/0")];
  count(500);
  hand();
  count(200);
  hand();
  hand();
  expect(whole.trial.counts()).toMatchObject({ calls: 2, errors: 1 });
  count(500);
  whole.trial = new TrialCounts("1/1/1");
  hand();
  expect(whole.trial.counts()).toMatchObject({ calls: 0, errors: 0 });
});

test("the load of other threads holds until they tell again, and their calls count once", () => {
  const meter = new LoadMeter(0);
  meter.enter(0);
  meter.note(1, { concurrency: 2, started: 5, inFlight: 3 });
  meter.note(2, { concurrency: 0.5, started: 1, inFlight: 0 });
  expect(meter.read(1000)).toEqual({ concurrency: 3.5, started: 7, inFlight: 4 });
  expect(meter.read(2000)).toEqual({ concurrency: 3.5, started: 0, inFlight: 4 });
  meter.note(1, { concurrency: 1, started: 1, inFlight: 1 });
  meter.note(1, { concurrency: 0, started: 2, inFlight: 0 });
  meter.forget(2);
  expect(meter.read(3000)).toEqual({ concurrency: 1, started: 3, inFlight: 1 });
});

const GIB = 1024 ** 3;
test.each<[what: string, cores: number, memoryBytes: number, platform: string, bind: string, workers: number]>([
  ["one core has one", 1, 8 * GIB, "linux", "0.0.0.0", 1],
  ["two cores have one, beside the main thread", 2, 8 * GIB, "linux", "0.0.0.0", 1],
  ["four cores have three", 4, 8 * GIB, "linux", "0.0.0.0", 3],
  ["many cores have no more than eight", 64, 64 * GIB, "linux", "0.0.0.0", 8],
  ["with little memory there are fewer", 64, GIB / 2, "linux", "0.0.0.0", 4],
  ["with very little there is one", 64, GIB / 16, "linux", "0.0.0.0", 1],
  ["other systems share no port", 8, 8 * GIB, "darwin", "0.0.0.0", 1],
  ["a Unix socket is not shared", 8, 8 * GIB, "linux", "unix:/run/f.sock", 1],
])("unless it is said: %s", (_what, cores, memoryBytes, platform, bind, workers) => {
  expect(defaultWorkers({ cores, memoryBytes, platform }, bind)).toBe(workers);
});

test("numbers that cannot be are refused", () => {
  expect(parseWorkers("0.0.0.0")("64")).toBe(64);
  expect(parseWorkers("unix:/run/f.sock")("1")).toBe(1);
  expect(() => parseWorkers("unix:/run/f.sock")("2")).toThrow("must be 1 with a bind_address of unix:");
  for (const text of ["0", "-1", "1.5", "all", "65"]) expect(() => parseWorkers("0.0.0.0")(text)).toThrow("must be");
});
