import { describe, expect, test } from "@jest/globals";
import { readCronSettings, wantsCron } from "../../events/cron/cron-settings.ts";
import { dueTicks, nextDue } from "../../events/cron/due-ticks.ts";
import { parseSchedule } from "../../events/cron/schedule.ts";

const DAY_MS = 24 * 3600_000;
const at = (text: string) => Date.parse(text);
const iso = (ms: number) => new Date(ms).toISOString().replace(".000", "");
const cron = (annotations: Record<string, string>) => readCronSettings({ ...annotations, topic: "cron-function" });
const short = (annotations: Record<string, string>) =>
  cron(
    Object.fromEntries(
      Object.entries(annotations).map(([name, value]) => [name.replace("+", "com.faaslane.cron."), value]),
    ),
  );

/** All times between two, as a watcher finds them that looks every few seconds. */
function times(schedule: string, zone: string, from: string, to: string): string[] {
  const { next } = parseSchedule(schedule, zone);
  const found: string[] = [];
  for (let time = next(at(from) - 1); time !== undefined && time <= at(to); time = next(time)) found.push(iso(time));
  return found;
}

describe("clocks that change", () => {
  test.each([
    [
      "30 2 * * *",
      "Europe/Berlin",
      "2026-03-29",
      ["2026-03-29T01:00:00Z"],
      "a time that is skipped is due right after",
    ],
    ["30 2 * * *", "Europe/Berlin", "2026-10-25", ["2026-10-25T00:30:00Z"], "a time that comes twice is due once"],
    [
      "30 2 * * *",
      "America/New_York",
      "2026-03-08",
      ["2026-03-08T07:00:00Z"],
      "a time that is skipped is due right after",
    ],
    ["30 1 * * *", "America/New_York", "2026-11-01", ["2026-11-01T05:30:00Z"], "a time that comes twice is due once"],
  ])("%s in %s on %s: %j, %s", (schedule, zone, day, expected) => {
    expect(times(schedule, zone, `${day}T00:00:00Z`, `${day}T23:59:59Z`)).toEqual(expected);
  });

  test.each([
    ["Europe/Berlin", "2026-03-29", 24],
    ["Europe/Berlin", "2026-10-25", 24],
    ["America/New_York", "2026-11-01", 24],
  ])("what is due every hour in %s goes on through %s", (zone, day, count) => {
    expect(times("0 * * * *", zone, `${day}T00:00:00Z`, `${day}T23:59:59Z`)).toHaveLength(count);
  });

  test.each(["Europe/Berlin", "America/New_York", "UTC", "Asia/Kathmandu"])(
    "in %s a daily time is due once on each of 1,096 days",
    (zone) => {
      const { next } = parseSchedule("15 2 * * *", zone);
      const days = new Set<string>();
      let time = next(at("2026-01-01T12:00:00Z")) as number;
      for (let day = 0; day < 1_096; day++) {
        days.add(new Date(time).toLocaleDateString("sv", { timeZone: zone }));
        time = next(time) as number;
      }
      expect(days.size).toBe(1_096);
      expect(time - at("2026-01-01T12:00:00Z")).toBeLessThan(1_098 * DAY_MS);
    },
  );
});

describe("schedules", () => {
  test.each([
    ["@hourly", "2026-01-01T01:00:00Z"],
    ["@every 5m", "2026-01-01T00:05:00Z"],
    ["@every 1h30m", "2026-01-01T01:30:00Z"],
    ["0 9 * * MON", "2026-01-05T09:00:00Z"],
    ["30 * * * * *", "2026-01-01T00:00:30Z"],
    ["CRON_TZ=Europe/Berlin 0 9 * * *", "2026-01-01T08:00:00Z"],
    ["TZ=America/New_York 0 9 * * *", "2026-01-01T14:00:00Z"],
  ])("%s is due next at %s", (schedule, expected) => {
    expect(iso(parseSchedule(schedule, "UTC").next(at("2026-01-01T00:00:00Z")) as number)).toBe(expected);
  });

  test.each([
    ["", "is empty"],
    [" ; ", "is empty"],
    ["61 * * * *", "cannot be read"],
    ["* * *", "cannot be read"],
    ["0 0 31 2 *", "is never due"],
    ["@every 10ms", "at least 1s"],
    ["@every x", "at least 1s"],
    ["CRON_TZ=Mars/Base 0 9 * * *", "timezone"],
    ["1;".repeat(60), "more than 50"],
    ["9".repeat(300), "200 characters"],
  ])("%j is refused: %s", (schedule, why) => {
    expect(() => cron({ schedule })).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringContaining(why) }),
    );
  });

  test.each([
    ["{", "must be a JSON object of headers"],
    ['["X-Job"]', "must be a JSON object of headers"],
    ['{"X Job":"a"}', '"X Job" is no header\'s name'],
    ['{"":"a"}', '"" is no header\'s name'],
    ['{"X-Job":1}', '"X-Job" must be a text'],
    ['{"X-Job":"a\\r\\nX-Evil: b"}', '"X-Job" must be a text'],
    ['{"X-Job":" a"}', '"X-Job" must be a text'],
    ['{"X-Job":"a","x-job":"b"}', '"x-job" is there twice'],
    ['{"Authorization":"Basic x"}', '"Authorization" is a header that cannot be set'],
    ['{"Content-Length":"1"}', '"Content-Length" is a header that cannot be set'],
    ['{"ce-type":"other"}', '"ce-type" is a header that cannot be set'],
    [JSON.stringify({ a: "x".repeat(1_025) }), '"a" must be a text'],
    [
      JSON.stringify(Object.fromEntries([...Array(21).keys()].map((n) => [`x-${n}`, "a"]))),
      "must have at most 20 headers",
    ],
  ])("headers %s are refused: %s", (headers, rule) => {
    expect(() => short({ schedule: "@daily", "+headers": headers })).toThrow(`com.faaslane.cron.headers: ${rule}`);
  });

  test("all annotations that cannot be read are named", () => {
    const wrong = {
      "+jitter": "2h",
      "+overlap": "odd",
      "+catch-up": "all:x",
      "+suspend": "maybe",
      "+content-type": "\n",
      "+headers": "X-Job: a",
    };
    const read = () => short({ schedule: "@daily", ...wrong });
    for (const name of Object.keys(wrong)) expect(read).toThrow(name.replace("+", "com.faaslane.cron."));
    expect(() => cron({ schedule: "@daily", timezone: "Mars/Base" })).toThrow("timezone");
  });

  test("only functions with the topic are called by the clock", () => {
    expect(wantsCron({ topic: "cron-function", schedule: "@daily" })).toBe(true);
    expect(wantsCron({ topic: "orders, cron-function", schedule: "@daily" })).toBe(true);
    expect(wantsCron({ topic: "orders", schedule: "@daily" })).toBe(false);
    expect(wantsCron({ topic: "cron-function" })).toBe(false);
  });
});

describe("what is due", () => {
  const start = at("2026-01-01T00:00:00Z");
  const due = (annotations: Record<string, string>, since: number, now: number) =>
    dueTicks(short({ schedule: "* * * * *", ...annotations }), since, now).map(({ plannedAt }) => iso(plannedAt));

  test("is found once, however often it is looked for", () => {
    const settings = cron({ schedule: "*/10 * * * *; 0 * * * *" });
    const ids: string[] = [];
    for (let now = start; now < start + 2 * 3600_000; now += 7_000) {
      ids.push(...dueTicks(settings, now - 7_000, now).map(({ id }) => id));
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => id.startsWith("*/10"))).toHaveLength(12);
    expect(ids.filter((id) => id.startsWith("0 *"))).toHaveLength(2);
    expect(ids[0]).toBe("*/10 * * * */2026-01-01T00:00:00.000Z");
  });

  test("is the same for two who watch the clock at different moments", () => {
    const settings = cron({ schedule: "@every 30s" });
    const one = dueTicks(settings, start, start + 31_000);
    const other = dueTicks(settings, start + 12_345, start + 59_000);
    expect(one).toEqual(other);
  });

  const NOON = start + 12 * 3600_000;
  test.each([
    ["none", 1],
    ["last", 2],
    ["all:5", 6],
    ["all:1000", 721],
  ])("after a long absence, catching up %s: %d", (catchUp, count) => {
    const found = due({ "+catch-up": catchUp }, start - 1, NOON);
    expect(found).toHaveLength(count);
    expect(found.at(-1)).toBe(iso(NOON));
    expect([...found].sort()).toEqual(found);
  });

  test("of several schedules, the newest that were missed count together", () => {
    const found = due({ schedule: "0 * * * *; 30 * * * *", "+catch-up": "all:3" }, start, NOON + 600_000);
    expect(found).toEqual(["2026-01-01T11:00:00Z", "2026-01-01T11:30:00Z", "2026-01-01T12:00:00Z"]);
  });

  test("is nothing while suspended, nor when the clock goes back", () => {
    expect(due({ "+suspend": "true" }, start, NOON)).toEqual([]);
    expect(due({ "+catch-up": "all:1000" }, NOON, start)).toEqual([]);
  });

  test("a year's absence takes no time to speak of", () => {
    expect(due({ schedule: "* * * * * *", "+catch-up": "all:1000" }, start, start + 365 * DAY_MS).length).toBeLessThan(
      1_200,
    );
  });

  test("the next one is the nearest of all schedules", () => {
    expect(iso(nextDue(cron({ schedule: "0 9 * * *; 0 7 * * *" }), start) as number)).toBe("2026-01-01T07:00:00Z");
    expect(nextDue(short({ schedule: "@daily", "+suspend": "true" }), start)).toBeUndefined();
  });
});
