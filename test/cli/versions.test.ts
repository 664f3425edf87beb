import { describe, expect, test } from "@jest/globals";
import { applyTraffic } from "../../cli/versions/traffic-arguments.ts";
import type { ListedVersions } from "../../contract/versions/requests.ts";
import { parseRollout } from "../../contract/versions/rollout-settings.ts";
import type { RolloutState } from "../../contract/versions/rollout-state.ts";
import { json, jsonOf, type Responder, type Seen } from "./support/fake-gateway.ts";
import { openScene } from "./support/scene.ts";

const version = (number: number, more: object = {}) => ({
  version: `v${number}`,
  content: { image: `hello:${number}` },
  createdAt: "2026-01-02T00:00:00Z",
  share: 0,
  tags: [],
  replicas: 0,
  availableReplicas: 0,
  ...more,
});
const listed: ListedVersions = {
  name: "hello",
  namespace: "openfaas-fn",
  generation: 7,
  latest: "v3",
  stable: "v2",
  previous: "v1",
  traffic: [
    { version: "v2", share: 9000 },
    { version: "v3", share: 1000, tag: "canary" },
  ],
  versions: [
    version(3, {
      name: "abc123",
      share: 1000,
      tags: ["canary"],
      replicas: 1,
      availableReplicas: 1,
      createdBy: "admin",
    }),
    version(2, { share: 9000, replicas: 2, availableReplicas: 2 }),
    version(1, { warmUntil: 1, replicas: 1, availableReplicas: 1 }),
  ],
  history: [{ at: Date.parse("2026-01-02T00:00:00Z"), traffic: "v2=90,v3=10@canary", reason: "try", by: "admin" }],
};

const { settings } = parseRollout({
  "com.faaslane.rollout": "canary",
  "com.faaslane.rollout.steps": "5@2m,50@pause,100",
  "com.faaslane.rollout.gate": "errors<1%,p95<1.3x",
});
const state = (changes: Partial<RolloutState> = {}): RolloutState => ({
  id: 1,
  from: "v2",
  to: "v3",
  phase: "step",
  step: 0,
  since: Date.now() - 61_000,
  startedAt: Date.now() - 3_700_000,
  settings,
  measurements: [
    {
      at: 1,
      step: 0,
      verdict: "bad",
      reason: "errors 20% are over 1%",
      candidate: { calls: 100, errors: 20, cold: 1, p50: 3.2, p95: 8, p99: 9 },
      stable: { calls: 1900, errors: 0, cold: 0 },
    },
  ],
  ...changes,
});

/** Answers by method and the last word of the path. */
const answering =
  (answers: Readonly<Record<string, (request: Seen) => object | undefined>>): Responder =>
  (request) => {
    const key = `${request.method} ${(request.path.split("?")[0] as string).split("/").at(-1)}`;
    const answer = answers[key]?.(request);
    return answer === undefined ? { status: 202 } : "status" in answer ? (answer as { status: number }) : json(answer);
  };

describe("versions", () => {
  test("shows what each is, what it gets, and how that came", async () => {
    await using scene = await openScene(answering({ "GET versions": () => listed }), {});
    const { code, stdout, stderr } = await scene.run("versions hello -n dev");
    expect([code, stderr]).toEqual([0, ""]);
    expect(scene.asked()).toEqual(["GET /system/function/hello/versions?namespace=dev"]);
    expect(stdout.replace(/ +\d+d ago/g, "  AGO").replace(/CREATED +BY/, "CREATED BY")).toBe(
      [
        "VERSION  NAME    TRAFFIC  TAGS    ROLE           READY  IMAGE    CREATED BY",
        "v3       abc123  10%      canary  latest         1/1    hello:3  AGO  admin",
        "v2               90%              stable         2/2    hello:2  AGO",
        "v1               -                previous,warm  1/1    hello:1  AGO",
        "",
        "Changes of traffic",
        "  2026-01-02T00:00:00Z  v2=90,v3=10@canary  try (admin)",
        "",
      ].join("\n"),
    );
  });

  test("tells what is different between two", async () => {
    const diff = [
      { field: "image", from: "hello:2", to: "hello:3" },
      { field: "envVars.LEVEL", to: "debug" },
    ];
    await using scene = await openScene(answering({ "GET versions": () => ({ ...listed, diff }) }), {});
    expect((await scene.run("versions hello --diff v2..v3")).stdout).toBe(
      ['image          "hello:2"  →  "hello:3"', 'envVars.LEVEL  (none)     →  "debug"', ""].join("\n"),
    );
    expect(scene.asked()).toEqual(["GET /system/function/hello/versions?diff=v2..v3"]);
    expect((await scene.run("versions hello --diff v2")).stderr).toMatch(/--diff must be two versions such as v2..v3/);
    expect(JSON.parse((await scene.run("versions hello --diff v2..v3 --json")).stdout)).toEqual(diff);
  });

  test("says what to do about a function that is not there, and a gateway that has none", async () => {
    await using scene = await openScene(() => ({ status: 404, body: "function hello not found" }), {});
    expect(await scene.run("versions hello")).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: function hello not found; `faaslane list` shows what is deployed\n",
    });
    scene.gateway.respond = () => ({ status: 404, body: "404 page not found\n" });
    expect((await scene.run("versions hello")).stderr).toMatch(
      /has no versions of functions; `faaslane version` shows/,
    );
  });
});

describe("traffic", () => {
  const traffic = {
    generation: 7,
    targets: [
      { version: "v6", share: 10_000 },
      { version: "v5", share: 0, tag: "old" },
    ],
  };

  test("sets shares and tags at the generation that it has read, and keeps other tags", async () => {
    await using scene = await openScene(answering({ "GET traffic": () => traffic }), {});
    const { code } = await scene.run("traffic hello v6=90 latest=10% --tag canary=v7 --reason try");
    expect(code).toBe(0);
    const put = scene.gateway.seen.find(({ method }) => method === "PUT") as Seen;
    expect([put.path, jsonOf(put)]).toEqual([
      "/system/function/hello/traffic",
      {
        generation: 7,
        reason: "try",
        targets: [
          { version: "v6", share: 9000 },
          { version: "latest", share: 1000 },
          { version: "v5", share: 0, tag: "old" },
          { version: "v7", share: 0, tag: "canary" },
        ],
      },
    ]);
  });

  test("shows what there is, resets it, and says what to do when somebody else has changed it", async () => {
    await using scene = await openScene(answering({ "GET traffic": () => traffic }), {});
    expect((await scene.run("traffic hello")).stdout).toBe("v6  100%\nv5  0%    @old\n");
    expect(scene.asked()).toEqual(["GET /system/function/hello/traffic"]);
    await scene.run("traffic hello --reset");
    expect(jsonOf(scene.gateway.seen.find(({ method }) => method === "PUT") as Seen)).toEqual({
      generation: 7,
      targets: [],
    });
    scene.gateway.respond = ({ method }) =>
      method === "GET" ? json(traffic) : { status: 409, body: "it is 8 by now" };
    const { code, stderr } = await scene.run("traffic hello v6=100");
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/it is 8 by now; look at it with `faaslane traffic` and try again/),
    ]);
    expect((await scene.run("traffic hello v6=100 --reset")).stderr).toMatch(/--reset goes without shares/);
  });

  const present = [
    { version: "v6", share: 10_000, tag: "main" },
    { version: "v5", share: 0, tag: "old" },
  ];
  const none = { shares: [], tags: [], untag: [] };
  test.each<[what: string, wishes: Partial<typeof none>, made: string[]]>([
    ["a tag leaves shares alone", { tags: ["new=v7"] as never[] }, ["v6 10000 main", "v5 0 old", "v7 0 new"]],
    ["a tag moves", { tags: ["old=v6"] as never[] }, ["v6 10000 main", "v6 0 old"]],
    ["a tag goes", { untag: ["old"] as never[] }, ["v6 10000 main"]],
    ["a share takes its tag along", { shares: ["v6=50", "v5=50"] as never[] }, ["v6 5000 main", "v5 5000 old"]],
    ["shares without a tag", { shares: ["v8=100"] as never[], untag: ["old", "main"] as never[] }, ["v8 10000 "]],
  ])("%s", (_what, wishes, made) => {
    const targets = applyTraffic(present, { ...none, ...wishes });
    expect(targets.map(({ version: of, share, tag = "" }) => `${of} ${share} ${tag}`)).toEqual(made);
  });

  test.each<[wishes: object, problem: RegExp]>([
    [{ shares: ["v6=90"] }, /percentages add up to 90, not to 100/],
    [{ shares: ["v6"] }, /"v6" must be VERSION=PERCENT/],
    [{ shares: ["v6=99.999"] }, /must be VERSION=PERCENT/],
    [{ shares: ["v6=-1"] }, /must be VERSION=PERCENT/],
    [{ shares: ["v6=50", "v6=50"] }, /v6 is given twice/],
    [{ shares: ["six=100"] }, /"six" is no version/],
    [{ tags: ["canary"] }, /--tag must be NAME=VERSION/],
    [{ tags: ["latest=v6"] }, /"latest" is no tag/],
    [{ untag: ["nope"] }, /--untag: there is no tag nope/],
  ])("%j is refused", (wishes, problem) => {
    expect(() => applyTraffic(present, { ...none, ...wishes })).toThrow(problem);
  });
});

test("rollback says from where to where, whether that is warm, and what it does not undo", async () => {
  const answer = { from: "v3", to: "v2", warm: true, warnings: ["values of secrets stay as they are"] };
  await using scene = await openScene(answering({ "POST rollback": () => answer, "GET versions": () => listed }), {});
  const { code, stdout } = await scene.run(["rollback", "hello", "--to", "v2", "--reason", "wrong totals", "--wait"]);
  expect([code, stdout]).toEqual([
    0,
    "hello: v3 → v2; its replicas are ready\nWarning: values of secrets stay as they are\n",
  ]);
  expect(jsonOf(scene.gateway.seen[0] as Seen)).toEqual({ to: "v2", reason: "wrong totals" });
});

describe("rollout", () => {
  test("status shows steps, conditions, numbers and what comes next", async () => {
    await using scene = await openScene(answering({ "GET rollout": () => ({ generation: 1, rollout: state() }) }), {});
    const { stdout } = await scene.run("rollout status hello");
    expect(stdout).toBe(
      [
        "hello: v2 → v3  step, step 1 of 3, 5%",
        "Strategy:   canary, begun 1h ago, in this phase for 1m",
        "Conditions: errors<1%, p95<1.3x",
        "Steps:",
        "  > 1. 5% for 2m",
        "    2. 50% until approved",
        "    3. 100%",
        "Numbers of step 1: bad, errors 20% are over 1%",
        "      CALLS  ERRORS  COLD  P50  P95  P99",
        "  v3  100    20%     1%    3ms  8ms  9ms",
        "  v2  1900   0%      0%    -    -    -",
        "Next:       faaslane rollout status hello --watch",
        "",
      ].join("\n"),
    );
    scene.gateway.respond = () => json({ generation: 1 });
    expect((await scene.run("rollout status hello")).stdout).toMatch(/hello has had no rollout; a deploy with/);
    expect((await scene.run("rollout status hello --wait")).code).toBe(1);
  });

  test.each<[phase: RolloutState["phase"], code: number]>([
    ["done", 0],
    ["aborted", 2],
    ["superseded", 2],
    ["paused", 3],
  ])("--wait ends when it is %s, with %s", async (phase, code) => {
    const states = [state({ phase: "warming" }), state({ phase, step: 1, reason: "why" })];
    let asked = 0;
    const next = () => ({ generation: 1, rollout: states[Math.min(asked++, 1)] as RolloutState });
    await using scene = await openScene(answering({ "GET rollout": next }), {});
    const told = await scene.run("rollout status hello --wait");
    expect([told.code, told.stderr]).toEqual([code, ""]);
    expect(told.stdout.split("\n")[0]).toBe("hello: v2 → v3  warming, 0%");
    expect(told.stdout).toContain(`${phase}`);
    const quiet = await scene.run("rollout status hello --wait --json");
    expect([quiet.code, (JSON.parse(quiet.stdout) as RolloutState).phase]).toEqual([code, phase]);
  });

  test.each(["rollout promote", "promote", "rollout pause", "rollout resume", "rollout abort", "abort"])(
    "%s asks for it, with its reason",
    async (command) => {
      await using scene = await openScene(
        answering({ "GET rollout": () => ({ generation: 1, rollout: state() }) }),
        {},
      );
      const { code, stdout } = await scene.run([...command.split(" "), "hello", "--reason", "so it is"]);
      expect([code, stdout]).toEqual([0, "hello: v2 → v3  step, step 1 of 3, 5%\n"]);
      expect(jsonOf(scene.gateway.seen[0] as Seen)).toEqual({ action: command.split(" ").at(-1), reason: "so it is" });
    },
  );

  test("approve is for the step that was seen; abort --wait ends well when it is aborted", async () => {
    const rollout = state({ phase: "paused", step: 1 });
    await using scene = await openScene(answering({ "GET rollout": () => ({ generation: 1, rollout }) }), {});
    await scene.run("rollout approve hello");
    expect(jsonOf(scene.gateway.seen[1] as Seen)).toEqual({ action: "approve", step: 1 });
    scene.gateway.respond = answering({
      "GET rollout": () => ({ generation: 2, rollout: state({ phase: "aborted" }) }),
    });
    expect((await scene.run("abort hello --wait")).code).toBe(0);
    expect((await scene.run("promote hello --wait")).code).toBe(2);
  });
});

describe("other commands", () => {
  const status = { name: "hello", image: "hello:3", replicas: 1, availableReplicas: 1 };

  test("describe shows version and traffic", async () => {
    await using scene = await openScene(
      ({ path }) =>
        json(path.includes("/versions") ? listed : path.startsWith("/system/functions") ? [status] : status),
      {},
    );
    const { stdout } = await scene.run("describe hello");
    expect(stdout).toContain(
      "Version:             v2\nTraffic:             v2 90%\n                     v3 10% @canary\n",
    );
    expect(JSON.parse((await scene.run("describe hello --json")).stdout)).toMatchObject({
      version: "v2",
      traffic: listed.traffic,
    });
  });

  test("deploy says which version came of it where there is a rollout, and asks nothing otherwise", async () => {
    await using scene = await openScene(
      answering({ "GET versions": () => listed, "GET rollout": () => ({ generation: 1, rollout: state() }) }),
      {},
    );
    const words = ["deploy", "--name", "hello", "--image", "hello:3"];
    const { stdout } = await scene.run([...words, "--annotation", "com.faaslane.rollout=canary"]);
    expect(stdout).toContain("Version: v3, on its way from v2; follow it with `faaslane rollout status hello --watch`");
    scene.asked();
    await scene.run(words);
    expect(scene.asked()).toEqual(["PUT /system/functions"]);
  });

  test("deploy says of a version that moves no calls that it has none", async () => {
    const [candidate, ...older] = listed.versions;
    const versions = [{ ...candidate, share: 0 }, ...older];
    await using scene = await openScene(
      answering({
        "GET versions": () => ({ ...listed, latest: "v2", versions }),
        "GET rollout": () => ({ generation: 1 }),
      }),
      {},
    );
    const { stdout } = await scene.run("deploy --name hello --image hello:3 --annotation com.faaslane.rollout=manual");
    expect(stdout).toContain("Version: v2; v3 is newer and has no calls, until `faaslane promote hello`");
  });

  test("generate keeps what the stack file says of traffic, rollouts and routes", async () => {
    const stack =
      "provider: {name: openfaas}\nfunctions:\n  hello:\n    image: hello\n    rollout: canary\n    routes: [a.b]\n";
    await using scene = await openScene(() => ({ status: 500 }), { "stack.yml": stack });
    const { stdout } = await scene.run("generate");
    expect(stdout).toContain("com.faaslane.rollout: canary");
    expect(stdout).toContain("com.faaslane.routes: a.b/*");
  });

  test("invoke calls a version or tag", async () => {
    await using scene = await openScene(() => ({ status: 200, body: "hi" }), {});
    await scene.run("invoke hello@canary");
    expect(scene.asked()).toEqual(["POST /function/hello%40canary.openfaas-fn"]);
  });
});

describe("routes", () => {
  const routes = [
    { function: "hello", namespace: "openfaas-fn", host: "a.b", path: "/x", methods: ["GET"], version: "canary" },
    { function: "other", namespace: "dev", path: "/y", exact: true, source: "FunctionIngress y" },
  ];

  test("are listed as they are written, of one function or of all", async () => {
    await using scene = await openScene(() => json(routes), {});
    expect((await scene.run("routes list")).stdout).toBe(
      [
        "FUNCTION  NAMESPACE    ROUTE                FROM",
        "hello     openfaas-fn  GET a.b/x/* @canary",
        "other     dev          /y                   FunctionIngress y",
        "",
      ].join("\n"),
    );
    expect(JSON.parse((await scene.run("routes list hello -n dev --json")).stdout)).toEqual([routes[0]]);
    expect(scene.asked()).toEqual(["GET /system/routes", "GET /system/routes?namespace=dev"]);
  });

  test("are set and taken away, and what is wrong with one is said before anybody is asked", async () => {
    await using scene = await openScene(() => ({ status: 202 }), {});
    expect((await scene.run(["routes", "set", "hello", "GET a.b/x/* @canary", "c.d"])).code).toBe(0);
    expect(jsonOf(scene.gateway.seen[0] as Seen)).toEqual({
      function: "hello",
      routes: [
        { host: "a.b", path: "/x/", methods: ["GET"], version: "canary" },
        { host: "c.d", path: "/" },
      ],
    });
    await scene.run("routes remove hello -n dev");
    expect(jsonOf(scene.gateway.seen[1] as Seen)).toEqual({ function: "hello", namespace: "dev" });
    scene.asked();
    expect((await scene.run(["routes", "set", "hello", "a.b canary"])).stderr).toMatch(
      /"a.b canary": "canary" is unknown/,
    );
    expect((await scene.run("routes set hello a.b//x")).stderr).toMatch(/route 1: path: "\/\/x" must be a path/);
    expect(scene.asked()).toEqual([]);
    scene.gateway.respond = () => ({ status: 409, body: "routes: a.b/* belongs to shop.dev\n" });
    expect((await scene.run("routes set hello a.b")).stderr).toMatch(/belongs to shop.dev/);
    const unknown = {
      status: 404,
      headers: { "x-faaslane-error": "unknown_function" },
      body: "function hello not found",
    };
    scene.gateway.respond = () => unknown;
    expect((await scene.run("routes set hello a.b")).stderr).toMatch(/no such function: hello; `faaslane list`/);
  });
});
