import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { json } from "./support/fake-gateway.ts";
import { openScene } from "./support/scene.ts";

const START = Date.parse("2030-01-01T00:00:00.000Z");

const decision = {
  at: "2030-01-01T00:00:42.123Z",
  from: 1,
  ready: 1,
  to: 4,
  reason: "load",
  panic: true,
  load: 12.345,
  burstLoad: 17.9,
  steps: [
    { reason: "load", replicas: 25, text: "⌈110 / (5 × 0.9)⌉ = 25" },
    { reason: "max", replicas: 4, text: "not above 4" },
  ],
};
const report = {
  function: "f",
  namespace: "openfaas-fn",
  replicas: 4,
  ready: 1,
  type: "capacity",
  settings: { min: 1, max: 4, target: 5, zero: false, window: "30s" },
  problems: ['com.openfaas.scale.max: "many" must be a whole number of at least 1'],
  refused: "no room on this machine",
  leading: false,
  leader: "gateway-b",
  lastBusyAt: "2030-01-01T00:00:00.000Z",
  alerted: false,
  last: decision,
  decisions: [decision],
};

describe("explain", () => {
  test("shows what is wrong, each step of the last decision, the settings and the decisions before", async () => {
    await using scene = await openScene(() => json(report), {});
    const { code, stdout, stderr } = await scene.run("scaling explain f -n openfaas-fn -k t");
    expect([code, stderr]).toEqual([0, ""]);
    expect(scene.asked()).toEqual(["GET /system/scaling/f?namespace=openfaas-fn"]);
    expect(stdout.replace(/Last busy: .*\n/, "")).toBe(
      [
        "Function:   f.openfaas-fn",
        "Replicas:   4 wanted, 1 ready",
        "Scaled by:  capacity",
        "Decides:    another gateway (gateway-b)",
        "REFUSED:    no room on this machine",
        'PROBLEM:    com.openfaas.scale.max: "many" must be a whole number of at least 1',
        "",
        "Last decision, 2030-01-01T00:00:42Z: 1 → 4 (load, in a burst)",
        "  load 12.35, 17.9 in the panic window; 1 ready",
        "  1.  load   25  ⌈110 / (5 × 0.9)⌉ = 25",
        "  2.  max     4  not above 4",
        "",
        "Settings",
        "  min     1    zero    false",
        "  max     4    window  30s",
        "  target  5",
        "",
        "Decisions that changed something or had another reason",
        "  TIME                  REPLICAS  READY  REASON        LOAD   BURST",
        "  2030-01-01T00:00:42Z  1 → 4     1      load (burst)  12.35  17.9",
        "",
      ].join("\n"),
    );
  });

  test("as JSON, as it came", async () => {
    await using scene = await openScene(() => json(report), {});
    const { stdout } = await scene.run("scaling explain f --output json");
    expect(JSON.parse(stdout)).toEqual(report);
  });

  test("a function that is not there, and an output that is none", async () => {
    await using scene = await openScene(() => ({ status: 404, body: "function f is not scaled here" }), {});
    const { code, stderr } = await scene.run("scaling explain f");
    expect([code, stderr]).toEqual([1, expect.stringContaining("function f is not scaled here")]);
    expect(await scene.run("scaling explain f -o yaml")).toMatchObject({
      code: 1,
      stderr: "Error: --output must be text or json\n",
    });
  });
});

describe("history", () => {
  test("is passed on as it is, from the time that is asked for", async () => {
    await using scene = await openScene(() => ({ status: 200, body: '{"t":1}\n' }), {});
    const before = Date.now();
    expect(await scene.run("scaling history f --since 10m")).toEqual({ code: 0, stdout: '{"t":1}\n', stderr: "" });
    const since = new URL(`http://x${scene.gateway.seen[0]?.path}`).searchParams.get("since") as string;
    expect(Date.parse(since)).toBeGreaterThanOrEqual(before - 600_000);
    expect(Date.parse(since)).toBeLessThanOrEqual(Date.now() - 600_000);
    scene.asked();
    await scene.run("scaling history f --since 2030-01-01T00:00:00Z");
    await scene.run("scaling history f");
    expect(scene.asked()).toEqual([
      "GET /system/scaling/f/history?since=2030-01-01T00%3A00%3A00.000Z",
      "GET /system/scaling/f/history",
    ]);
  });

  test.each(["soon", "2030-99-01"])("--since %s is refused", async (since) => {
    await using scene = await openScene(() => json({}), {});
    const { code, stderr } = await scene.run(`scaling history f --since ${since}`);
    expect([code, stderr]).toEqual([1, expect.stringContaining("--since must be a")]);
    expect(scene.asked()).toEqual([]);
  });
});

/** Twenty seconds of little, forty of ten times as much. */
const history = Array.from({ length: 60 }, (_, second) => {
  const load = second < 20 ? 4 : 40;
  const ready = second < 30 ? 1 : 3;
  return JSON.stringify({
    t: START + second * 1000,
    concurrency: load,
    started: load * 2,
    inFlight: load,
    held: 0,
    queued: 0,
    replicas: ready,
    ready,
  });
}).join("\n");

describe("simulate", () => {
  const files = { "history.ndjson": history };
  const base = "scaling simulate --from history.ndjson --set type=capacity";

  test("shows replicas over time, beside what really happened", async () => {
    await using scene = await openScene(() => undefined, files);
    const { code, stdout, stderr } = await scene.run(
      `${base} --set target=5 --set target-proportion=1 --start-time 2s`,
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^ +8 │ +░+█+$/m);
    expect(stdout).toMatch(/^Changes +\d+ +1$/m);
    expect(stdout).toMatch(/^Replica-seconds +\d+ +119$/m);
    expect(scene.asked()).toEqual([]);
  });

  test("reads standard input; as JSON it has each second", async () => {
    await using scene = await openScene(() => undefined, {});
    const run = async (target: string) => {
      const args = `scaling simulate --from - --set type=capacity --set target=${target} -o json`;
      const { stdout } = await scene.run(args, { input: history });
      return JSON.parse(stdout) as { simulated: { seconds: { wanted: number }[]; replicaSeconds: number } };
    };
    const [few, many] = [await run("20"), await run("5")];
    expect(few.simulated.seconds).toHaveLength(60);
    expect(few.simulated.seconds.at(-1)?.wanted).toBe(3);
    expect(many.simulated.seconds.at(-1)?.wanted).toBe(9);
    expect(many.simulated.replicaSeconds).toBeGreaterThan(few.simulated.replicaSeconds);
  });

  test("writes a plot whose curves end at the right edge", async () => {
    await using scene = await openScene(() => undefined, files);
    expect((await scene.run(`${base} --set target=5 --svg plot.svg`)).code).toBe(0);
    const svg = await readFile(join(scene.workspace.path, "plot.svg"), "utf8");
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(svg).toContain("<title>Simulated: type=capacity, target=5</title>");
    for (const name of ["load", "wanted", "ready", "recorded"]) {
      expect(svg).toMatch(new RegExp(`<path class="${name}" d="M64 [^"]*(H|L)844[^"]*"/>`));
    }
    expect(svg).toContain("prefers-color-scheme: dark");
  });

  test("names may be whole labels, and what is in them does not break the plot", async () => {
    await using scene = await openScene(() => undefined, files);
    const args = [
      ...base.split(" "),
      "--set",
      "com.faaslane.scale.query=a<b&c",
      "--set",
      "type=custom",
      "--svg",
      "p.svg",
    ];
    expect((await scene.run(args.join(" "))).code).toBe(0);
    const svg = await readFile(join(scene.workspace.path, "p.svg"), "utf8");
    expect(svg).toContain("query=a&lt;b&amp;c");
  });

  test.each<[settings: string, rule: string]>([
    ["--set target=none", 'com.openfaas.scale.target: "none" must be a number'],
    ["--set min=5 --set max=2", "com.openfaas.scale.min: "],
    ["--set zero-duration=never", "com.openfaas.scale.zero-duration: "],
    ["--set down-delay=2h", "com.faaslane.scale.down-delay: "],
    ["--set speed=2", "com.faaslane.scale.speed: there is no such setting"],
    ["--set target", "--set must be key=value"],
    ["--start-time soon", "--start-time must be a duration"],
  ])("%s is refused with the rule", async (settings, rule) => {
    await using scene = await openScene(() => undefined, files);
    const { code, stdout, stderr } = await scene.run(`scaling simulate --from history.ndjson ${settings}`);
    expect([code, stdout, stderr]).toEqual([1, "", expect.stringContaining(rule)]);
  });

  test.each<[what: string, text: string, rule: string]>([
    ["empty", "\n", "the history is empty"],
    ["not JSON", "hello\n", "line 1 of the history: it is not JSON"],
    ["not a sample", `${history}\n{"t":1}\n`, "line 61 of the history: scaling history: concurrency"],
    ["out of order", `${history}\n${history}`, "line 61 of the history is not later"],
    ["too long", `${history}\n${history.split("\n")[0]?.replace(`${START}`, `${START + 8 * 86_400_000}`)}`, "7 days"],
  ])("a history that is %s is refused", async (_what, text, rule) => {
    await using scene = await openScene(() => undefined, {});
    const { code, stderr } = await scene.run("scaling simulate --from -", { input: text });
    expect([code, stderr]).toEqual([1, expect.stringContaining(rule)]);
  });

  test("a file that is not there is named", async () => {
    await using scene = await openScene(() => undefined, {});
    const { code, stderr } = await scene.run("scaling simulate --from none.ndjson");
    expect([code, stderr]).toEqual([1, expect.stringContaining("cannot read none.ndjson")]);
  });
});
