import { expect, test } from "@jest/globals";
import { type DeadlineList, Deadlines, type Expiring } from "../../watchdog/deadlines.ts";
import { eventually } from "../support/eventually.ts";

class Entry implements Expiring {
  expiresAt = 0;
  earlier: Expiring | null = null;
  later: Expiring | null = null;
  waitsIn: DeadlineList | null = null;
  expiredAt: number | undefined;
  expire(): void {
    this.expiredAt = performance.now();
  }
}

function startMany(deadlines: Deadlines, durations: readonly number[]): Entry[] {
  return durations.map((durationMs) => {
    const entry = new Entry();
    deadlines.start(entry, durationMs, performance.now());
    return entry;
  });
}

test("each entry expires after its own duration, once, and no sooner", async () => {
  const deadlines = new Deadlines();
  const startedAt = performance.now();
  const durations = [30, 10, 30, 60, 10];
  const entries = startMany(deadlines, durations);
  await eventually("all expired", () => entries.every((entry) => entry.expiredAt !== undefined));
  entries.forEach((entry, i) => {
    expect(entry.expiredAt).toBeGreaterThanOrEqual(startedAt + (durations[i] as number));
    expect(entry.waitsIn).toBeNull();
  });
  deadlines.close();
});

test("what is stopped never expires, wherever it stood", async () => {
  const deadlines = new Deadlines();
  const entries = startMany(deadlines, [20, 20, 20, 20, 20]);
  const [first, second, third, fourth, last] = entries as [Entry, Entry, Entry, Entry, Entry];
  for (const entry of [first, third, last, third]) deadlines.stop(entry);
  await eventually("the others expired", () => second.expiredAt !== undefined && fourth.expiredAt !== undefined);
  expect([first, third, last].map((entry) => entry.expiredAt)).toEqual([undefined, undefined, undefined]);
  deadlines.close();
});

test("an entry added while the list's old timer still runs gets its full time", async () => {
  const deadlines = new Deadlines();
  const [early] = startMany(deadlines, [40]) as [Entry];
  deadlines.stop(early);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const startedAt = performance.now();
  const [late] = startMany(deadlines, [40]) as [Entry];
  await eventually("it expired", () => late.expiredAt !== undefined);
  expect(late.expiredAt).toBeGreaterThanOrEqual(startedAt + 40);
  deadlines.close();
});

test("zero is no limit", () => {
  const [entry] = startMany(new Deadlines(), [0]) as [Entry];
  expect(entry.waitsIn).toBeNull();
});
