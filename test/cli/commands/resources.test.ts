import { describe, expect, test } from "@jest/globals";
import { json, jsonOf, type Reply, type Seen } from "../support/fake-gateway.ts";
import { openScene } from "../support/scene.ts";

const made = (): Reply => ({ ...json({ name: "x", namespace: "openfaas-fn", spec: {} }), status: 201 });
const unknown = (): Reply => ({ status: 404, headers: { "x-faaslane-error": "unknown_trigger" } });

describe("what flags declare:", () => {
  test.each<[line: string, path: string, spec: object]>([
    [
      "triggers add mail --type order.* --source *shop --filter total>100 --to mail@v3 --broker shop --retry 5 --dead-letter sink/dead --ordered",
      "/system/triggers/mail",
      {
        broker: "shop",
        filters: [{ prefix: { type: "order." } }, { suffix: { source: "shop" } }, { cesql: "total>100" }],
        subscriber: { function: "mail@v3" },
        delivery: { retry: 5, deadLetterSink: { sink: "dead" } },
        order: "partitionkey",
      },
    ],
    [
      "triggers add out --to https://example.com/x --subject a -n dev --set concurrency=3",
      "/system/triggers/out?namespace=dev",
      { filters: [{ exact: { subject: "a" } }], subscriber: { uri: "https://example.com/x" }, concurrency: 3 },
    ],
    ["brokers add shop --set maxAge=72h --set maxEvents=10", "/system/brokers/shop", { maxAge: "72h", maxEvents: 10 }],
    [
      'sources add orders kafka --broker shop --set topics=["a","b"] --set tls.verify=false --set group=007 --secret password=kafka/pw --secret user=k',
      "/system/sources/orders",
      {
        type: "kafka",
        broker: "shop",
        topics: ["a", "b"],
        tls: { verify: false },
        group: "007",
        password: { secret: "kafka", key: "pw" },
        user: { secret: "k" },
      },
    ],
    [
      "sinks add erp webhook --file spec.yaml --set url=http://y",
      "/system/sinks/erp",
      { type: "webhook", url: "http://y", retries: 3 },
    ],
  ])("%s", async (line, path, spec) => {
    await using scene = await openScene(made, { "spec.yaml": "url: http://x\nretries: 3\n" });
    const outcome = await scene.run(line);
    expect([outcome.code, outcome.stderr]).toEqual([0, ""]);
    expect(outcome.stdout).toMatch(/^Declared: (trigger|broker|source|sink)\//);
    const [seen] = scene.gateway.seen as [Seen];
    expect([seen.method, seen.path, jsonOf(seen)]).toEqual(["PUT", path, spec]);
  });

  test.each([
    ["triggers add a --retry many", /--retry must be a whole number/],
    ["brokers add a --set x", /--set must be key=value/],
    ["brokers add a --set a=1 --set a.b=2", /a\.b: a has a value already/],
    ["brokers add a --set __proto__.x=2", /__proto__\.x: is no setting/],
    ["brokers add a --file none.yaml", /cannot read none\.yaml: there is no such file/],
    ["brokers add a --file list.yaml", /list\.yaml:1:1: the document: must be a mapping/],
  ])("%s is refused before anything is sent", async (line, message) => {
    await using scene = await openScene(made, { "list.yaml": "[a]\n" });
    const outcome = await scene.run(line);
    expect([outcome.code, scene.gateway.seen]).toEqual([1, []]);
    expect(outcome.stderr).toMatch(message);
  });
});

describe("lists", () => {
  const ns = "openfaas-fn";
  test.each<[command: string, answer: object[], lines: string[]]>([
    [
      "triggers",
      [
        {
          id: `trigger/${ns}/mail`,
          name: "mail",
          namespace: ns,
          origin: "trigger",
          broker: "shop",
          subscriber: "function/openfaas-fn/mail",
          open: 3,
        },
        {
          id: `function/${ns}/old`,
          name: "old",
          namespace: ns,
          origin: "function",
          subscriber: "function/openfaas-fn/old",
          open: 0,
          problem: "topic: is empty",
        },
        {
          id: `trigger/${ns}/ship`,
          name: "ship",
          namespace: ns,
          origin: "object",
          broker: "shop",
          subscriber: "function/openfaas-fn/ship",
          open: 0,
        },
      ],
      [
        "NAME  BY        BROKER  SUBSCRIBER                 STATE   OPEN  PROBLEM",
        "mail  trigger   shop    function/openfaas-fn/mail  active  3",
        "old   function  -       function/openfaas-fn/old   wrong   0     topic: is empty",
        "ship  object    shop    function/openfaas-fn/ship  active  0",
      ],
    ],
    [
      "sources list",
      [
        {
          name: "s",
          namespace: ns,
          spec: { type: "kafka", broker: "default" },
          status: { state: "failing", problem: "refused", events: 2, errors: 1, lastEventAt: 0 },
        },
      ],
      [
        "NAME  TYPE   BROKER   STATE    EVENTS  ERRORS  LAG  LAST EVENT                PROBLEM",
        "s     kafka  default  failing  2       1       -    1970-01-01T00:00:00.000Z  refused",
      ],
    ],
    [
      "brokers ls",
      [
        {
          name: "default",
          namespace: ns,
          declared: false,
          path: "/broker/openfaas-fn/default",
          events: 1,
          bytes: 20,
          open: 0,
          dead: 0,
        },
      ],
      ["NAME     EVENTS  BYTES  OPEN  DEAD  PATH", "default  1       20     0     0     /broker/openfaas-fn/default"],
    ],
  ])("%s", async (command, answer, lines) => {
    await using scene = await openScene(() => json(answer), {});
    expect(await scene.run(command)).toEqual({ code: 0, stderr: "", stdout: `${lines.join("\n")}\n` });
    const first = command.split(" ")[0] as string;
    expect(JSON.parse((await scene.run(`${first} list --json`)).stdout)).toEqual(answer);
  });

  test("say so when they are empty", async () => {
    await using scene = await openScene(() => json([]), {});
    expect(await scene.run("sinks")).toEqual({ code: 0, stdout: "", stderr: "There are no sinks.\n" });
  });
});

test("one is shown, removed, suspended and resumed", async () => {
  const shown = { name: "s", namespace: "dev", spec: { type: "cron" } };
  await using scene = await openScene(({ method }) => (method === "GET" ? json(shown) : { status: 204 }), {});
  expect((await scene.run("sources show s")).stdout).toBe("name: s\nnamespace: dev\nspec:\n  type: cron\n");
  expect((await scene.run("sources suspend s -n dev")).stdout).toBe("Suspended: source/s\n");
  expect((await scene.run("sources resume s")).stdout).toBe("Resumed: source/s\n");
  expect((await scene.run("triggers resume t")).stdout).toBe("Resumed: trigger/t\n");
  expect((await scene.run("brokers remove b --force")).stdout).toBe("Removed: broker/b\n");
  expect(scene.asked()).toEqual([
    "GET /system/sources/s",
    "POST /system/sources/s/suspend?namespace=dev",
    "POST /system/sources/s/resume",
    "POST /system/triggers/t/resume",
    "DELETE /system/brokers/b?force=true",
  ]);
});

test("one that is not there is told as such", async () => {
  await using scene = await openScene(unknown, {});
  for (const command of ["show", "remove"]) {
    expect(await scene.run(`triggers ${command} t`)).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: there is no trigger t; `faaslane triggers list` shows what there is\n",
    });
  }
});
