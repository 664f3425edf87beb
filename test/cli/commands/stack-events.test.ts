import { describe, expect, test } from "@jest/globals";
import { parseStack } from "../../../cli/stack/parse.ts";
import { json, jsonOf, type Reply, type Seen } from "../support/fake-gateway.ts";
import { openScene } from "../support/scene.ts";

const STACK = `version: 1.0
provider: {name: openfaas}
functions:
  mail: {image: mail:1, namespace: dev}
brokers:
  shop: {maxAge: 24h, maxEvents: 10}
triggers:
  mail:
    namespace: dev
    broker: shop
    filters:
      - exact: {type: order.created, version: "1"}
      - cesql: total > \${LEAST}
    subscriber: {function: mail}
    delivery: {retry: 3, timeout: 5}
    suspend: false
sources:
  nightly: {type: cron, schedule: "0 2 * * *", retries: 1.5, user: {secret: s}}
sinks:
  hook: {type: webhook, url: "https://example.com"}
`;
const FILES = { "stack.yml": STACK };
const env = { LEAST: "12" };
const TRIGGER = {
  broker: "shop",
  filters: [{ exact: { type: "order.created", version: "1" } }, { cesql: "total > 12" }],
  subscriber: { function: "mail" },
  delivery: { retry: 3, timeout: 5 },
  suspend: false,
};

/** A gateway that has nothing, and takes everything. */
function taking({ method, path }: Seen): Reply {
  if (path.startsWith("/system/functions")) return { status: 202 };
  if (method === "PUT") return { ...json({ name: "x", namespace: "dev", spec: {} }), status: 201 };
  return method === "GET" ? { status: 404, headers: { "x-faaslane-error": "unknown_trigger" } } : { status: 204 };
}

describe("brokers, sinks, triggers, flows and sources of a stack file", () => {
  test("are read with the types that JSON has, variables replaced", () => {
    const { resources } = parseStack(STACK, { file: "stack.yml", env });
    expect(resources.map(({ kind, name, namespace }) => [kind, name, namespace])).toEqual([
      ["broker", "shop", undefined],
      ["sink", "hook", undefined],
      ["trigger", "mail", "dev"],
      ["source", "nightly", undefined],
    ]);
    expect(resources[2]?.spec).toEqual(TRIGGER);
    expect(resources[3]?.spec).toEqual({ type: "cron", schedule: "0 2 * * *", retries: 1.5, user: { secret: "s" } });
  });

  test.each([
    ["triggers: {a: {subscriber: {function: m}, brokr: b}}", /^Error: stack\.yml:3:15: triggers\.a: .*brokr/],
    [
      "triggers:\n  a:\n    broker: B!\n    subscriber: {function: m}",
      /^Error: stack\.yml:5:13: triggers\.a: broker: must be a DNS label/,
    ],
    ["triggers: {a: {}}", /^Error: stack\.yml:3:15: triggers\.a: subscriber: /],
    ["triggers: {A_b: {}}", /^Error: stack\.yml:3:17: triggers\.A_b: the name must be at most 63/],
    ["triggers: [a]", /^Error: stack\.yml:3:11: triggers: must be a mapping/],
    ["sources: {a: {schedule: x}}", /^Error: stack\.yml:3:14: sources\.a: type: is required/],
    ["brokers: {a: {maxAge: long}}", /^Error: stack\.yml:3:23: brokers\.a: maxAge: must be a duration/],
    ["sinks: {a: {namespace: X, type: t}}", /sinks\.a\.namespace: must be a DNS label/],
    [`flows: {a: {b: ${"[".repeat(60)}${"]".repeat(60)}}}`, /nested (too deep|more than 50 levels deep)/],
  ])("%s is refused where it stands", async (block, message) => {
    const head = "provider: {name: openfaas}\nfunctions: {f: {image: f}}\n";
    await using scene = await openScene(taking, { "stack.yml": `${head}${block}\n` });
    const outcome = await scene.run("deploy");
    expect([outcome.code, scene.gateway.seen]).toEqual([1, []]);
    expect(outcome.stderr).toMatch(message);
  });

  test("are declared by deploy, sources last, after the functions", async () => {
    await using scene = await openScene(taking, FILES);
    const { code, stdout, stderr } = await scene.run("deploy", { env });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(
      /\nDeclared: broker\/shop\nDeclared: sink\/hook\nDeclared: trigger\/mail\nDeclared: source\/nightly\n$/,
    );
    const trigger = scene.gateway.seen.find(({ path }) => path.startsWith("/system/triggers"));
    expect(jsonOf(trigger as Seen)).toEqual(TRIGGER);
    expect(scene.asked().filter((line) => line.startsWith("PUT"))).toEqual([
      "PUT /system/functions",
      "PUT /system/brokers/shop",
      "PUT /system/sinks/hook",
      "PUT /system/triggers/mail?namespace=dev",
      "PUT /system/sources/nightly",
    ]);
  });

  test("are left alone when single functions are meant", async () => {
    await using scene = await openScene(taking, FILES);
    await scene.run("deploy --filter mail", { env });
    await scene.run("remove --filter mail", { env });
    await scene.run("remove mail", { env });
    expect(scene.asked().filter((line) => /brokers|sinks|triggers|sources/.test(line))).toEqual([]);
  });

  test("may be all that there is in the file", async () => {
    const only = `version: 1.0\nprovider: {name: openfaas}\nbrokers: {shop: {}}\n`;
    await using scene = await openScene(taking, { "stack.yml": only });
    expect(await scene.run("deploy")).toEqual({ code: 0, stdout: "Declared: broker/shop\n", stderr: "" });
    expect(await scene.run("up")).toMatchObject({ code: 0, stderr: "" });
  });

  test("of which one fails do not stop the others, and it is told", async () => {
    await using scene = await openScene(
      (seen) => (seen.path.includes("/sinks") ? { status: 400, body: "sink: no\n" } : taking(seen)),
      FILES,
    );
    const plain = await scene.run("deploy -n other", { env });
    expect([plain.code, plain.stderr]).toEqual([
      1,
      "Error: sink/hook: the gateway answered 400 Bad Request: sink: no\n",
    ]);
    expect(scene.asked()).toContain("PUT /system/sources/nightly?namespace=other");
    const { stdout } = await scene.run("deploy --json", { env });
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ name, status }) => [name, status])).toEqual([
      ["mail", "deployed"],
      ["broker/shop", "deployed"],
      ["sink/hook", "failed"],
      ["trigger/mail", "deployed"],
      ["source/nightly", "deployed"],
      [undefined, undefined],
    ]);
  });

  test("are compared by diff, whatever form the gateway keeps them in", async () => {
    const remote: Readonly<Record<string, object>> = {
      "/system/brokers/shop": { maxEvents: 10, maxAge: "12h", auth: "basic" },
      "/system/triggers/mail?namespace=dev": TRIGGER,
      "/system/sources/nightly": {
        type: "cron",
        broker: "default",
        schedule: "0 2 * * *",
        retries: 1.5,
        user: { secret: "s" },
      },
    };
    await using scene = await openScene((seen) => {
      const spec = remote[seen.path];
      if (spec) return json({ name: "x", namespace: "dev", spec });
      return seen.path.startsWith("/system/function/")
        ? json({ name: "mail", namespace: "dev", image: "mail:1", replicas: 1, invocationCount: 0 })
        : taking(seen);
    }, FILES);
    const { code, stdout } = await scene.run("diff", { env });
    expect(code).toBe(1);
    expect(stdout).toBe(
      [
        "mail: no difference",
        "broker/shop: differs",
        "  - auth: basic",
        "  - maxAge: 12h",
        "  + maxAge: 24h",
        "sink/hook: not deployed; faaslane deploy deploys it",
        "trigger/mail: no difference",
        "source/nightly: no difference",
        "",
      ].join("\n"),
    );
  });

  test("are removed with the stack, sources first", async () => {
    await using scene = await openScene(
      (seen) =>
        seen.path.includes("/sinks") ? { status: 404, headers: { "x-faaslane-error": "unknown_sink" } } : taking(seen),
      FILES,
    );
    const { code, stdout } = await scene.run("remove --keep-calls", { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Removed: source\/nightly\nRemoved: trigger\/mail\nThere is no sink\/hook\nRemoved: broker\/shop\nDeleting: mail\.\n/,
    );
  });
});
