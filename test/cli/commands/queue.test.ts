import { describe, expect, test } from "@jest/globals";
import type { Reply, Seen } from "../support/fake-gateway.ts";
import { json } from "../support/fake-gateway.ts";
import { openScene } from "../support/scene.ts";

const call = (changes: object = {}) => ({
  id: "0b8a3f0e-0000-4000-8000-000000000001",
  callId: "0b8a3f0e-0000-4000-8000-000000000001",
  function: "hello",
  namespace: "openfaas-fn",
  queue: "faas-request",
  state: "done",
  attempts: 2,
  acceptedAt: "2030-01-01T00:00:00.000Z",
  finishedAt: "2030-01-01T00:00:03.000Z",
  status: 200,
  durationMs: 1250,
  ...changes,
});

const letter = (id: string) => ({
  id,
  callId: id,
  function: "hello",
  namespace: "openfaas-fn",
  queue: "faas-request",
  reason: "status 500 after\n11 attempts",
  attempts: 11,
  status: 500,
  acceptedAt: "2030-01-01T00:00:00.000Z",
  diedAt: "2030-01-01T00:10:00.000Z",
  bodyBytes: 3,
});

const stats = {
  waiting: 12,
  inFlight: 3,
  dead: 1,
  oldestMs: 65_000,
  functions: [
    {
      name: "hello",
      namespace: "openfaas-fn",
      queue: "faas-request",
      waiting: 12,
      inFlight: 3,
      dead: 1,
      oldestMs: 65_000,
      acceptedPerSecond: 20.04,
      finishedPerSecond: 0.5,
    },
  ],
};

describe("queue status", () => {
  test("shows each function and the whole", async () => {
    await using scene = await openScene(() => json(stats), {});
    expect(await scene.run("queue status -k t")).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "FUNCTION           QUEUE         WAITING  RUNNING  DEAD  OLDEST  ACCEPTED/S  FINISHED/S",
        "hello.openfaas-fn  faas-request  12       3        1     1m5s    20          0.5",
        "(all)                            12       3        1     1m5s",
        "",
      ].join("\n"),
    });
    expect(scene.gateway.seen[0]?.headers.authorization).toBe("Bearer t");
    expect(scene.asked()).toEqual(["GET /system/queue"]);
  });

  test("tells what the queue takes at most", async () => {
    const limits = { calls: 1_000_000, bytes: 8 * 1024 ** 3, functionCalls: 500_000, functionBytes: 1_600_000_000 };
    await using scene = await openScene(() => json({ ...stats, bytes: 123_456, limits }), {});
    expect((await scene.run("queue status")).stdout).toMatch(
      /\nLimits: 1000000 calls and 8Gi in all, of which 121Ki are taken; 500000 calls and 1\.5Gi of a function\.\n$/,
    );
  });

  test("of one function, as JSON", async () => {
    await using scene = await openScene(() => json(stats), {});
    const { stdout } = await scene.run("queue status hello -n dev -j");
    expect(JSON.parse(stdout)).toEqual(stats);
    expect(scene.asked()).toEqual(["GET /system/queue?function=hello&namespace=dev"]);
  });
});

test("queue purge drops the calls of a function that wait", async () => {
  await using scene = await openScene(() => json({ count: 12 }), {});
  expect(await scene.run("queue purge hello -n dev")).toEqual({ code: 0, stdout: "Purged: 12\n", stderr: "" });
  expect(scene.asked()).toEqual(["DELETE /system/queue?function=hello&namespace=dev"]);
  expect((await scene.run("queue purge")).code).not.toBe(0);
});

test("queue callback asks for a callback once more, and passes on why it cannot be", async () => {
  const replies = [
    { status: 202, body: "" },
    { status: 409, body: "the call has not ended\n" },
  ] as Reply[];
  await using scene = await openScene(() => replies.shift() as Reply, {});
  expect(await scene.run("queue callback my/own")).toEqual({
    code: 0,
    stdout: "Callback queued: my/own\n",
    stderr: "",
  });
  expect(scene.asked()).toEqual(["POST /system/queue/call/callback?id=my%2Fown"]);
  const refused = await scene.run("queue callback other");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("the call has not ended");
  expect((await scene.run("queue callback")).code).not.toBe(0);
});

test.each([
  [
    { state: "waiting", tries: 2, nextAttemptAt: "2030-01-01T00:00:07.000Z", reason: "status 503" },
    "waiting after 2 tries, next at 2030-01-01T00:00:07.000Z: status 503",
  ],
  [{ state: "delivered", tries: 1 }, "delivered after 1 try"],
])("queue get tells how far the callback has got: %j", async (callback, expected) => {
  await using scene = await openScene(() => json(call({ callback })), {});
  expect((await scene.run("queue get x")).stdout).toMatch(new RegExp(`Callback: +${expected}\n`));
});

describe("queue get and cancel", () => {
  test("show what has become of a call", async () => {
    await using scene = await openScene(() => json(call({ callId: "my/own", state: "dead", reason: "gone" })), {});
    const { code, stdout } = await scene.run("queue get my/own --wait 5s");
    expect(code).toBe(0);
    expect(stdout).toContain("Call id:   my/own\n");
    expect(stdout).toContain("State:     dead\nReason:    gone\nAttempts:  2\n");
    expect(scene.asked()).toEqual(["GET /async-function/my%2Fown?wait=5s"]);
  });

  test("progress of a batch", async () => {
    const batch = { size: 4, done: 1, dead: 2, cancelled: 0, expired: 0 };
    await using scene = await openScene(() => json(call({ state: "running", batch })), {});
    expect((await scene.run("queue get x")).stdout).toContain(
      "Batch:     4 calls: 1 done, 2 dead, 0 cancelled, 0 expired\n",
    );
  });

  test.each([
    ["cancelled", "Cancelled: abc\n"],
    ["running", "Cancelled: abc\n"],
    ["dead", "Had ended before (dead): abc\n"],
  ])("cancel a call that is %s then", async (state, stdout) => {
    await using scene = await openScene(
      ({ method }) => (method === "DELETE" ? { status: 202 } : json(call({ state }))),
      {},
    );
    expect(await scene.run("queue cancel abc")).toEqual({ code: 0, stdout, stderr: "" });
    expect(scene.asked()).toEqual(["DELETE /async-function/abc", "GET /async-function/abc"]);
  });

  test("an unknown call is an error in the gateway's words", async () => {
    await using scene = await openScene(() => ({ status: 404, body: 'no call "x" is known\n' }), {});
    for (const args of ["queue get x", "queue cancel x"]) {
      expect(await scene.run(args)).toEqual({ code: 1, stdout: "", stderr: 'Error: no call "x" is known\n' });
    }
  });
});

describe("queue dead-letters", () => {
  test("are listed page by page", async () => {
    const pages = [{ items: [letter("a"), letter("b")], next: "p2" }, { items: [letter("c")] }];
    await using scene = await openScene(() => json(pages.shift()), {});
    const { stdout } = await scene.run("queue dead-letters list hello --since 1h --limit 5");
    expect(stdout.split("\n").map((line) => line.split(/\s+/)[0])).toEqual(["ID", "a", "b", "c", ""]);
    expect(stdout).toContain("status 500 after 11 attempts\n");
    expect(scene.asked()).toEqual([
      "GET /system/queue/dead-letters?function=hello&since=1h&limit=5",
      "GET /system/queue/dead-letters?function=hello&since=1h&limit=3&after=p2",
    ]);
  });

  test("say when there are more", async () => {
    await using scene = await openScene(() => json({ items: [letter("a")], next: "p2" }), {});
    expect((await scene.run("queue dead-letters list --limit 1")).stdout).toMatch(/There are more/);
    expect(scene.asked()).toHaveLength(1);
  });

  test.each<[args: string, request: string, stdout: string]>([
    ["replay --id a", "POST /system/queue/dead-letters?id=a", "Replayed: 2\n"],
    ["replay hello -n dev", "POST /system/queue/dead-letters?function=hello&namespace=dev", "Replayed: 2\n"],
    ["drop --until 24h", "DELETE /system/queue/dead-letters?until=24h", "Dropped: 2\n"],
    ["drop --all", "DELETE /system/queue/dead-letters?all=true", "Dropped: 2\n"],
  ])("%s", async (args, request, stdout) => {
    await using scene = await openScene(() => json({ count: 2 }), {});
    expect(await scene.run(`queue dead-letters ${args}`)).toEqual({ code: 0, stdout, stderr: "" });
    expect(scene.asked()).toEqual([request]);
  });

  test.each<[args: string, message: string]>([
    ["drop", "name a function, --id, --since or --until, or say --all"],
    ["replay hello --all", "not both"],
    ["list -n dev", "--namespace needs the name of a function"],
    ["list --limit 0", "--limit must be a whole number of at least 1"],
  ])("refuses %j before it asks", async (args, message) => {
    await using scene = await openScene(() => json({ count: 0 }), {});
    const { code, stderr } = await scene.run(`queue dead-letters ${args}`);
    expect([code, scene.asked()]).toEqual([1, []]);
    expect(stderr).toContain(message);
  });
});

describe("invoke --async --wait", () => {
  const id = "0b8a3f0e-0000-4000-8000-000000000001";
  const accepted: Reply = { status: 202, headers: { "X-Call-Id": "mine", Location: `/async-function/${id}` } };
  /** Answers the call itself, its state in turn (the last again and again), and its result. */
  const scripted = (states: (Reply | undefined)[], result: Reply) => (request: Seen) => {
    if (request.method === "POST") return accepted;
    if (request.path.endsWith("/result")) return result;
    return states.length > 1 ? states.shift() : states[0];
  };
  const state = (changes: object) => json(call(changes));
  const done: Reply = { status: 200, headers: { "x-call-state": "done" }, body: ["4", "2"] };

  test("prints the result once the call has ended, through a restart of the gateway", async () => {
    const states = [state({ state: "waiting" }), { status: 503, body: "away" }, undefined, state({})];
    await using scene = await openScene(scripted(states, done), {});
    const outcome = await scene.run("invoke hello --async --wait", { input: "x" });
    expect(outcome).toEqual({
      code: 0,
      stdout: "42",
      stderr: "Function submitted asynchronously, call id mine.\n",
    });
    expect(scene.asked().at(-1)).toBe(`GET /async-function/${id}/result`);
  });

  test("a result that is not kept is no failure", async () => {
    await using scene = await openScene(scripted([state({})], { status: 404 }), {});
    const { code, stdout, stderr } = await scene.run("invoke hello --async --wait");
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr).toContain("no result of it is kept");
  });

  test.each(["dead", "expired", "cancelled"])("a call that is %s ends in an error", async (end) => {
    await using scene = await openScene(scripted([state({ state: end, status: 500, reason: "why" })], done), {});
    const { code, stdout, stderr } = await scene.run("invoke hello --async --wait");
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(`the call is ${end} after 2 attempts, last status 500: why (${id})`);
  });

  test("a function's own error status is one of the command too", async () => {
    const result = { ...done, status: 404 };
    await using scene = await openScene(scripted([state({ status: 404 })], result), {});
    const { code, stdout, stderr } = await scene.run("invoke hello --async --wait");
    expect([code, stdout]).toEqual([1, "42"]);
    expect(stderr).toContain("the function answered with status code 404");
  });

  test("ends with --timeout and says that the call goes on", async () => {
    await using scene = await openScene(scripted([state({ state: "running" })], done), {});
    const { code, stderr } = await scene.run("invoke hello --async --wait --timeout 300ms");
    expect(code).toBe(1);
    expect(stderr).toContain(`the call did not end within 0.3 s and is still running: ${id}`);
  });

  test("needs --async, and a gateway that tells", async () => {
    await using scene = await openScene(() => ({ status: 202 }), {});
    expect((await scene.run("invoke hello --wait")).stderr).toContain("--wait needs --async");
    expect((await scene.run("invoke hello --async --wait")).stderr).toContain("does not report the state of calls");
  });
});
