import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { LoadMeter } from "../../../../gateway/core/scaling/load-meter.ts";

test("two calls of half a second in one second are one call in flight", () => {
  const meter = new LoadMeter(0);
  meter.enter(0);
  meter.leave(500);
  meter.enter(500);
  meter.leave(1000);
  expect(meter.read(1000)).toEqual({ concurrency: 1, started: 2, inFlight: 0 });
});

test("a long call counts in every reading, but starts once", () => {
  const meter = new LoadMeter(0);
  meter.enter(250);
  expect(meter.read(1000)).toEqual({ concurrency: 0.75, started: 1, inFlight: 1 });
  expect(meter.read(2000)).toEqual({ concurrency: 1, started: 0, inFlight: 1 });
  expect(meter.read(2000)).toEqual({ concurrency: 1, started: 0, inFlight: 1 });
});

test("the area is the sum of the calls' times, however they overlap", () => {
  const calls = fc.array(fc.tuple(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 1000 })));
  fc.assert(
    fc.property(calls, (list) => {
      const meter = new LoadMeter(0);
      const events = list.flatMap(([a, b]) => [
        { at: Math.min(a, b), enter: true },
        { at: Math.max(a, b), enter: false },
      ]);
      events.sort((x, y) => x.at - y.at || Number(y.enter) - Number(x.enter));
      for (const { at, enter } of events) enter ? meter.enter(at) : meter.leave(at);
      const seconds = list.reduce((sum, [a, b]) => sum + Math.abs(a - b), 0) / 1000;
      const { concurrency, started, inFlight } = meter.read(1000);
      expect(concurrency).toBeCloseTo(seconds, 6);
      expect({ started, inFlight }).toEqual({ started: list.length, inFlight: 0 });
    }),
  );
});
