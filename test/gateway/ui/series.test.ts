import { mkdir, readdir, readFile, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { SeriesAnswer } from "../../../contract/ui/series.ts";
import { decodeColumns, encodeColumns } from "../../../gateway/ui/live/column-text.ts";
import { COLUMN, COLUMNS } from "../../../gateway/ui/live/columns.ts";
import { RING_SHAPES } from "../../../gateway/ui/live/function-series.ts";
import { KnownPast } from "../../../gateway/ui/live/past.ts";
import { addGateway, buildSeriesAnswer, chooseStep } from "../../../gateway/ui/live/series-answer.ts";
import { SeriesBook } from "../../../gateway/ui/live/series-book.ts";
import { SeriesFile, type SeriesFileOptions } from "../../../gateway/ui/live/series-file.ts";
import { encodePreface } from "../../../gateway/ui/live/series-text.ts";
import { StepRing, type StepRingShape } from "../../../gateway/ui/live/step-ring.ts";
import { Counted } from "../../support/counted-function.ts";
import { temporaryFolder } from "../../support/platform.ts";
import { seededRandom } from "../../support/seeded-random.ts";

const START = Date.UTC(2030, 0, 1, 12);
const S = 1_000;
const DAY = 24 * 3600 * S;

/** A gateway's memory of its functions, with a clock of its own. */
class Watched {
  now = START;
  readonly functions: Counted[] = [];
  readonly book: SeriesBook;
  readonly past: KnownPast;

  constructor(...functions: Counted[]) {
    this.functions.push(...functions);
    this.book = new SeriesBook({ now: START });
    this.past = new KnownPast({
      book: this.book,
      exists: (name) => this.functions.some(({ qualifiedName }) => qualifiedName === name),
      defaultNamespace: "fn",
      now: () => this.now,
    });
  }

  /** Looks every `stepMs` for a while. @param act what happens before each look */
  run(forMs: number, act: () => void = () => {}, stepMs = S): void {
    for (let ms = 0; ms < forMs; ms += stepMs) {
      this.now += stepMs;
      act();
      this.book.sample(this.functions, this.now);
    }
  }

  ask(more: Record<string, string> = {}): Promise<SeriesAnswer> {
    return this.past.series({ function: "f", ...more });
  }

  since(ms: number): Record<string, string> {
    return { since: String(this.now - ms) };
  }
}

const known = (values: readonly (number | null)[] | undefined) => values?.filter((value) => value !== null) ?? [];

test("packed numbers come out as they went in, whatever they are", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 60; round++) {
    const points = 1 + Math.floor(random() * 120);
    const most = 2 ** Math.floor(random() * 30);
    const columns = Array.from({ length: COLUMNS }, () =>
      random() < 0.5
        ? Math.floor(random() * 3)
        : Array.from({ length: points }, () => (random() < 0.7 ? 5 : Math.floor(random() * most))),
    );
    const text = encodeColumns(columns, points);
    const read = columns.map(() => new Array<number>(points).fill(0));
    decodeColumns(text, { columns: COLUMNS, points }, (column, point, value) => {
      (read[column] as number[])[point] = value;
    });
    expect(read).toEqual(columns.map((c) => (typeof c === "number" ? new Array<number>(points).fill(c) : c)));
    expect(() => decodeColumns(`${text}${String.fromCharCode(3)}`, { columns: COLUMNS, points }, () => {})).toThrow();
  }
});

test("each second of the last quarter of an hour is there, by class, with percentiles and what is under way", async () => {
  const f = new Counted();
  const watched = new Watched(f);
  f.wholeMeter.start();
  watched.run(1000 * S, () => {
    f.calls(9);
    f.calls(1, 503, 2);
  });
  const { stepSeconds, from, series, byCode } = await watched.ask();
  expect([stepSeconds, from]).toEqual([1, watched.now - 900 * S]);
  expect(new Set(series.calls)).toEqual(new Set([10]));
  expect([new Set(series.errors), new Set(byCode["2xx"]), new Set(byCode["5xx"])]).toEqual(
    [1, 9, 1].map((value) => new Set([value])),
  );
  expect(series.calls).toHaveLength(901);
  expect(series.p50Ms?.at(-1)).toBeLessThan(5);
  expect(series.p95Ms?.at(-1)).toBeGreaterThan(1000);
  expect([series.inFlight?.at(-1), series.replicas?.at(-1), series.cpuPercent?.at(-1)]).toEqual([1, 1, null]);
});

test("over hours: each span has its step, and as many calls as were counted", async () => {
  const f = new Counted();
  const watched = new Watched(f);
  watched.run(7 * 3600 * S, () => f.calls(f.wholeMeter.ended % 3 === 0 ? 20 : 10), 10 * S);
  const hours = await watched.ask(watched.since(6 * 3600 * S));
  expect([hours.stepSeconds, hours.series.calls?.length]).toEqual([10, 2_161]);
  const week = await watched.ask({ ...watched.since(7 * DAY), names: "calls,p95Ms" });
  expect([week.stepSeconds, week.series.calls?.length, Object.keys(week.series)]).toEqual([
    60,
    10_081,
    ["calls", "p95Ms"],
  ]);
  const summed = known(week.series.calls).reduce((all, value) => all + value * 60, 0);
  expect(Math.abs(summed - f.wholeMeter.ended) / f.wholeMeter.ended).toBeLessThan(0.01);
  const few = await watched.ask({ ...watched.since(7 * DAY), points: "100" });
  expect(few.series.calls?.length).toBeLessThanOrEqual(100);
  expect(few.stepSeconds % 60).toBe(0);
});

test("over days: what comes out of a ring is what went in, and nothing is older than a week", () => {
  const random = seededRandom(11);
  const ring = new StepRing(RING_SHAPES[2] as StepRingShape, 1_000_003);
  const given = new Map<number, number>();
  for (let index = 1_000_003; index < 1_000_003 + 9 * 24 * 60; index++) {
    if (random() < 0.001) index += Math.floor(random() * 200);
    const calls = random() < 0.3 ? Math.floor(random() * 1e6) : 7;
    const point = new Int32Array(COLUMNS);
    point[COLUMN.known] = 60;
    point[COLUMN.codes] = calls;
    ring.add(index, point);
    given.set(index, calls);
  }
  const from = ring.last - 10_079;
  expect(ring.first).toBeGreaterThan(ring.last - 10_080 - 2 * 60 - 15);
  const read = ring.read(from, ring.last + 1)[COLUMN.codes] as Int32Array;
  expect([...read]).toEqual(Array.from(read, (_, place) => given.get(from + place) ?? 0));
  const before = ring.read(1_000_003, 1_000_103)[COLUMN.known] as Int32Array;
  expect(before.some((value) => value > 0)).toBe(false);
});

test("what was not counted is unknown, not nothing", async () => {
  const f = new Counted();
  const watched = new Watched(f);
  watched.run(30 * S, () => f.calls(1));
  watched.now += 3600 * S; // the machine slept
  watched.run(30 * S, () => f.calls(1));
  const seconds = (await watched.ask(watched.since(120 * S))).series.calls ?? [];
  expect(known(seconds).length).toBe(30);
  const tens = (await watched.ask(watched.since(3700 * S))).series;
  expect(known(tens.calls).length).toBe(8);
  expect(Math.max(...known(tens.calls))).toBe(1);
  expect(tens.replicas?.filter((value) => value === null).length).toBeGreaterThan(300);
});

test("looks that come late or twice in a second change no rate", async () => {
  const f = new Counted();
  const watched = new Watched(f);
  for (let second = 0; second < 300; second += 3) {
    f.calls(6);
    watched.run(3 * S, () => {}, 3 * S);
    watched.book.sample(watched.functions, watched.now + 400);
    f.calls(3);
    watched.book.sample(watched.functions, watched.now + 900);
    f.wholeMeter.start();
    f.wholeMeter.end(200, 0.001);
  }
  const calls = known((await watched.ask(watched.since(250 * S))).series.calls);
  expect(new Set(calls.map((value) => value <= 4))).toEqual(new Set([true]));
  expect(calls.reduce((all, value) => all + value, 0) / calls.length).toBeCloseTo(10 / 3, 1);
});

test("counts that begin anew make no rate below nothing", async () => {
  const f = new Counted();
  const watched = new Watched(f);
  watched.run(60 * S, () => f.calls(10));
  f.wholeMeter = new Counted().wholeMeter;
  watched.run(60 * S, () => f.calls(2));
  const calls = known((await watched.ask(watched.since(110 * S))).series.calls);
  expect(new Set(calls)).toEqual(new Set([10, 2]));
});

test.each([
  ["back by an hour", -3600 * S],
  ["back by two seconds", -2 * S],
  ["forward by an hour", 3600 * S],
  ["forward by a year", 365 * DAY],
])("a clock that is set %s makes no rate that never was, and goes on", async (_how, jump) => {
  const f = new Counted();
  const watched = new Watched(f);
  watched.run(400 * S, () => f.calls(4));
  watched.now += jump;
  watched.run(400 * S, () => f.calls(4));
  const { series, from, stepSeconds } = await watched.ask(watched.since(300 * S));
  expect(Math.max(...known(series.calls))).toBeLessThanOrEqual(4);
  expect(known(series.calls).length).toBeGreaterThan(290);
  expect(from + (series.calls?.length ?? 0) * stepSeconds * S).toBeGreaterThan(watched.now - S);
  // What was ten minutes ago stays so, where the clock was only wrong.
  const before = await watched.ask(watched.since(700 * S));
  expect(known(before.series.calls).length).toBeGreaterThan(jump < 0 ? 680 : 390);
  expect(watched.book.recent("f.fn").rate).toBeCloseTo(4, 0);
});

test("the row of a list: the last minute, and the last fifteen", () => {
  const f = new Counted();
  const watched = new Watched(f);
  watched.run(120 * S, () => {
    f.calls(9);
    f.calls(1, 500, 0.9);
  });
  const { rate, errors, p95Ms, spark } = watched.book.recent("f.fn");
  expect([rate, errors]).toEqual([10, 0.1]);
  expect(p95Ms).toBeGreaterThan(500);
  expect(spark).toHaveLength(15);
  expect(spark.at(-1)).toBe(10);
  watched.run(70 * S);
  expect(watched.book.recent("f.fn")).toMatchObject({ rate: 0, errors: 0, p95Ms: undefined });
  expect(watched.book.recent("f.fn").spark.some((value) => value > 0)).toBe(true);
  watched.run(20 * 60 * S);
  expect(watched.book.recent("f.fn").spark).toEqual(new Array(15).fill(0));
});

test("all functions together, and those of a namespace; one that is gone is forgotten", async () => {
  const [a, b] = [new Counted("f.fn"), new Counted("g.other")];
  const watched = new Watched(a, b);
  watched.run(60 * S, () => {
    a.calls(3);
    b.calls(4);
  });
  const last = async (given: Record<string, string>) => (await watched.past.series(given)).series.calls?.at(-1);
  expect([await last({}), await last({ namespace: "fn" }), await last({ namespace: "other" })]).toEqual([7, 3, 4]);
  expect((await watched.past.series({})).series.replicas?.at(-1)).toBe(2);
  watched.functions.pop();
  watched.run(2 * S, () => a.calls(3));
  expect([watched.book.has("g.other"), watched.book.has(".other"), watched.book.has("f.fn")]).toEqual([
    false,
    false,
    true,
  ]);
  await expect(watched.past.series({ function: "g.other" })).rejects.toThrow("there is no function g.other");
});

test("until all functions are known, none is forgotten", () => {
  const f = new Counted();
  const watched = new Watched(f);
  watched.run(10 * S, () => f.calls(1));
  watched.book.sample([], watched.now + S, false);
  expect(watched.book.has("f.fn")).toBe(true);
});

test("several gateways add up: calls, not replicas, and not time", () => {
  const make = (calls: number, from: number) => {
    const columns = Array.from({ length: COLUMNS }, () => new Int32Array(4));
    columns[COLUMN.known]?.fill(1);
    columns[COLUMN.codes + 1]?.fill(calls);
    columns[COLUMN.inFlight]?.fill(calls);
    columns[COLUMN.replicas]?.fill(3);
    return { seconds: 1, from, columns };
  };
  const here = make(2, 100);
  addGateway(here, make(5, 102));
  const { series } = buildSeriesAnswer(here, ["calls", "inFlight", "replicas"]);
  expect(series).toEqual({ calls: [2, 2, 7, 7], inFlight: [2, 2, 7, 7], replicas: [3, 3, 3, 3] });
});

test("the finest step that goes back so far", () => {
  const back = (ms: number) => chooseStep(START - ms, START);
  expect([0, 900 * S, 905 * S, 960 * S, 6 * 3600 * S, 7 * 3600 * S, 300 * DAY].map(back)).toEqual([
    ...[1, 1, 1, 10, 10, 60, 60],
  ]);
});

/** A week of points, one after the other, as they come. */
function week(isBusy: boolean, random: () => number): number {
  const point = new Int32Array(COLUMNS);
  return RING_SHAPES.reduce((bytes, shape) => {
    const ring = new StepRing(shape, 0);
    for (let index = 0; index < shape.points; index++) {
      point.fill(0);
      point[COLUMN.known] = shape.seconds;
      point[COLUMN.replicas] = 2;
      point[COLUMN.available] = 2;
      if (isBusy) {
        const calls = Math.floor(random() * 20 * shape.seconds);
        point[COLUMN.codes + 1] = calls;
        for (let bucket = 0; bucket < 4; bucket++) point[COLUMN.buckets + bucket] = Math.floor(calls * random() * 0.5);
        point[COLUMN.inFlight] = Math.floor(random() * 9);
      }
      ring.add(index, point);
    }
    return bytes + ring.bytes;
  }, 0);
}

test("a week of an idle function costs next to nothing, and of a thousand, a fifth of them busy, less than 30 MB", () => {
  const random = seededRandom(3);
  const [idle, busy] = [week(false, random), week(true, random)];
  expect(idle).toBeLessThan(4_000);
  expect(800 * idle + 200 * busy).toBeLessThan(26e6);
});

test("packed points have a bound of their own, and the oldest go first", () => {
  const f = new Counted();
  const book = new SeriesBook({ now: START, maxBytes: 30_000 });
  const random = seededRandom(5);
  let now = START;
  for (let look = 0; look < 3_000; look++) {
    now += 10 * S;
    f.calls(Math.floor(random() * 5), 200, random());
    book.sample([f], now);
  }
  expect(book.bytes).toBeLessThan(33_000);
  expect(book.ring("f.fn", 60)?.first).toBeGreaterThan(Math.floor(START / 60_000) + 60);
  expect(book.recent("f.fn").rate).toBeGreaterThan(0);
});

describe("over a restart", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let warnings: string[];
  beforeEach(async () => {
    folder = await temporaryFolder();
    warnings = [];
  });
  afterEach(() => folder.remove());

  const path = () => join(folder.path, "series.bin");

  async function open(watched: Watched): Promise<SeriesFile> {
    const log = { warn: (_facts: object, text: string) => void warnings.push(text) } as SeriesFileOptions["log"];
    const file = new SeriesFile({ path: path(), book: watched.book, log, now: () => watched.now });
    await file.open();
    return file;
  }

  async function kept(...functions: Counted[]): Promise<Watched> {
    const watched = new Watched(...functions);
    const file = await open(watched);
    let look = 0;
    watched.run(700 * S, () => {
      for (const f of functions) f.calls((look++ % 7) + 1, 200, 0.02);
    });
    await file.close();
    return watched;
  }

  async function begun(now: number): Promise<Watched> {
    const watched = new Watched(new Counted());
    watched.now = now;
    await open(watched);
    return watched;
  }

  test("all of it is there again, with a gap as long as the stop", async () => {
    const before = await kept(new Counted());
    const after = await begun(before.now + 100 * S);
    after.run(60 * S, () => after.functions[0]?.calls(2));
    const asked = { since: String(before.now - 600 * S), until: String(before.now), names: "calls,p95Ms,replicas" };
    expect(await after.ask(asked)).toEqual(await before.ask(asked));
    const whole = (await after.ask(after.since(700 * S))).series.calls ?? [];
    expect(whole.filter((value) => value === null).length).toBeGreaterThan(95);
    expect(whole.filter((value) => value === null).length).toBeLessThan(103);
    expect(new Set(whole.slice(-50))).toEqual(new Set([2]));
    expect(warnings).toEqual([]);
  });

  test("a clock that was set back meanwhile leaves no gap, and breaks nothing", async () => {
    const before = await kept(new Counted());
    const after = await begun(before.now - 10 * 3600 * S);
    after.run(60 * S, () => after.functions[0]?.calls(2));
    const calls = known((await after.ask(after.since(600 * S))).series.calls);
    expect(calls.length).toBeGreaterThan(590);
    expect(Math.max(...calls)).toBeLessThan(15);
  });

  test("functions that are gone by then are forgotten", async () => {
    const before = await kept(new Counted(), new Counted("g.fn"));
    const after = await begun(before.now + S);
    expect(after.book.has("g.fn")).toBe(true);
    after.book.sample([], after.now + S, false);
    expect(after.book.has("g.fn")).toBe(true);
    after.run(2 * S);
    expect([after.book.has("g.fn"), after.book.has("f.fn")]).toEqual([false, true]);
  });

  test.each<[how: string, damage: (file: Buffer) => Buffer]>([
    ["is cut off", (file) => file.subarray(0, file.length - 20)],
    [
      "has a byte changed",
      (file) => Buffer.from(file.map((byte, place) => (place === file.length - 30 ? byte ^ 1 : byte))),
    ],
    ["is another program's", () => Buffer.from("a picture, perhaps")],
    ["is empty", () => Buffer.alloc(0)],
    ["holds something else", (file) => Buffer.concat([encodePreface({ second: 1, shift: 0 }), file])],
  ])("a file that %s is put aside, and graphs begin anew", async (_how, damage) => {
    const before = await kept(new Counted());
    await writeFile(path(), damage(await readFile(path())));
    const after = await begun(before.now + S);
    expect(warnings).toEqual(["cannot read the dashboard's graphs of before; they begin anew"]);
    expect(await readdir(folder.path)).toEqual(["series.bin.broken"]);
    after.run(10 * S, () => after.functions[0]?.calls(2));
    expect(known((await after.ask()).series.calls)).toEqual(new Array(10).fill(2));
  });

  test("a place where nothing can be written costs a warning, once, and no graph", async () => {
    const watched = new Watched(new Counted());
    await mkdir(`${path()}.new`);
    const file = await open(watched);
    watched.run(10 * S, () => watched.functions[0]?.calls(2));
    await file.store();
    await file.store();
    expect(warnings).toEqual(["cannot keep the dashboard's graphs over a restart"]);
    expect((await watched.ask()).series.calls?.at(-1)).toBe(2);
    await rmdir(`${path()}.new`);
    await file.close();
    expect(await readdir(folder.path)).toEqual(["series.bin"]);
    expect((await stat(path())).mode & 0o777).toBe(0o600);
  });
});
