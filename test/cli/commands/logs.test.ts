import { describe, expect, test } from "@jest/globals";
import type { Reply } from "../support/fake-gateway.ts";
import { openScene } from "../support/scene.ts";

describe("logs", () => {
  const lines = [
    { name: "f", namespace: "n", instance: "f-1", timestamp: "2026-01-31T12:00:00.123Z", text: 'say "hi"\n' },
    { name: "f", namespace: "n", instance: "f-2", timestamp: "2026-01-31T12:00:01Z", text: "\n" },
  ];
  const stream = (): Reply => ({ status: 200, body: lines.map((line) => JSON.stringify(line)).join("\n") });

  test.each<[flags: string, query: string]>([
    ["", "follow=true&name=f&tail=-1"],
    ["-f", "follow=true&name=f&tail=-1"],
    ["-t", "follow=true&name=f&tail=-1"],
    ["--tail=false --lines 3", "follow=false&name=f&tail=3"],
    ["--no-tail -n dev", "follow=false&name=f&namespace=dev&tail=-1"],
    ["--since-time 2026-01-31T12:00:00Z", "follow=true&name=f&since=2026-01-31T12%3A00%3A00Z&tail=-1"],
  ])("logs f %s", async (flags, query) => {
    await using scene = await openScene(stream, {});
    expect(await scene.run(`logs f ${flags}`.trim())).toMatchObject({ code: 0, stderr: "" });
    expect(scene.asked()).toEqual([`GET /system/logs?${query}`]);
  });

  test("--since counts back from now", async () => {
    await using scene = await openScene(stream, {});
    const before = Date.now();
    await scene.run("logs f --since 1h30m");
    const since = new URL(scene.gateway.seen[0]?.path ?? "", "http://x").searchParams.get("since") ?? "";
    expect(Date.parse(since) - (before - 5_400_000)).toBeGreaterThanOrEqual(0);
    expect(Date.parse(since)).toBeLessThanOrEqual(Date.now() - 5_400_000);
  });

  test.each<[flags: string, expected: string]>([
    ["", '2026-01-31T12:00:00Z say "hi"\n2026-01-31T12:00:01Z \n'],
    ["--name --instance", '2026-01-31T12:00:00Z f (f-1) say "hi"\n2026-01-31T12:00:01Z f (f-2) \n'],
    ["--time-format Unix", '1769860800 say "hi"\n1769860801 \n'],
    ["--time-format none", 'say "hi"\n\n'],
    ["-o json", `${lines.map((line) => `${JSON.stringify(line)}\n`).join("")}`],
    [
      "-o keyvalue --time-format RFC3339Nano",
      'timestamp="2026-01-31T12:00:00.123Z" name="f" namespace="n" instance="f-1" text="say \\"hi\\""\n' +
        'timestamp="2026-01-31T12:00:01Z" name="f" namespace="n" instance="f-2" text=""\n',
    ],
  ])("prints %s", async (flags, expected) => {
    await using scene = await openScene(stream, {});
    expect((await scene.run(`logs f ${flags}`.trim())).stdout).toBe(expected);
  });

  test("tells replicas apart by colours on a terminal, and nowhere else", async () => {
    await using scene = await openScene(stream, {});
    const colored = '2026-01-31T12:00:00Z (f-1) say "hi"\n\u001b[36m2026-01-31T12:00:01Z (f-2)\u001b[0m \n';
    expect((await scene.run("logs f --instance", { screen: true })).stdout).toBe(colored);
    for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
      expect((await scene.run("logs f --instance", { screen: true, env })).stdout).not.toContain("\u001b");
    }
    for (const flags of ["--instance", "-o json", "-o keyvalue"]) {
      expect((await scene.run(`logs f ${flags}`)).stdout).not.toContain("\u001b");
    }
    expect((await scene.run("logs f -o json", { screen: true })).stdout).not.toContain("\u001b");
  });

  test("what a replica is called or writes is no colour", async () => {
    const evil = { ...lines[0], instance: "a\u001b[31m\n", text: "\u001b]0;title\u0007\n" };
    await using scene = await openScene(() => ({ status: 200, body: JSON.stringify(evil) }), {});
    expect((await scene.run("logs f --instance", { screen: true })).stdout).toBe(
      "2026-01-31T12:00:00Z (a\\x1b[31m\\n) \\x1b]0;title\\x07\n",
    );
  });

  test("refuses what it does not understand, and tells of failures", async () => {
    await using scene = await openScene(() => ({ status: 404, body: "no such function" }), {});
    expect((await scene.run("logs f")).stderr).toBe(
      "Error: the gateway answered 404 Not Found: no such function; `faaslane list` shows what is deployed\n",
    );
    expect((await scene.run("logs f --lines many")).stderr).toContain("--lines must be a whole number");
    expect((await scene.run("logs f -o xml")).stderr).toContain("--output must be plain, keyvalue or json");
    expect((await scene.run("logs f --since-time x")).stderr).toContain("--since-time must be a time");
    expect((await scene.run("logs f --since 1m --since-time x")).stderr).toContain("cannot be used together");
    expect((await scene.run("logs")).stderr).toContain("missing required argument 'name'");
  });
});
