import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { expect, test } from "@jest/globals";
import type { NewCall } from "../../../gateway/queue/queue.ts";
import { eventually } from "../../support/eventually.ts";
import type { CallerSetup } from "./setup.ts";

/** What the platform answers in the function's place. */
export function failuresContract(setup: CallerSetup): void {
  test("a function that is not there is 404, but not before the provider has been asked", async () => {
    await setup.startEmpty();
    expect(await setup.answered({ headers: [["Content-Type", "text/css"]] })).toMatchObject({
      status: 404,
      internal: false,
      headers: { "content-type": "text/plain; charset=utf-8", "x-call-id": "the-id", "x-served-by": "faaslane/test" },
      text: "error finding function shout.openfaas-fn: not found\n",
    });
    setup.deployed.add("late.openfaas-fn");
    const late = setup.answered({ function: "late" });
    setup.put({ name: "late" });
    expect((await late).status).toBe(200);
  });

  test("while nobody can tell whether it is there, 503 of the platform", async () => {
    await setup.startEmpty({ holdTimeoutMs: 300 }, false);
    const answer = await setup.answered();
    expect(answer).toMatchObject({ status: 503, internal: true, headers: { "retry-after": "1" } });
  });

  test("a full function is 429 of the platform, and the call does not reach it", async () => {
    const open: ServerResponse[] = [];
    setup.site.answer = (_request, res) => open.push(res);
    await setup.start();
    setup.put({ maxInflight: 1 });
    const first = setup.answered();
    await eventually("the first is under way", () => open.length === 1);
    const refused = await setup.answered();
    expect(refused).toMatchObject({ status: 429, internal: true });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    open[0]?.end("late");
    expect((await first).text).toBe("late");
    expect(setup.site.received).toHaveLength(1);
    expect(setup.entry.meter.codes.get(429)?.count).toBe(1);
  });

  test("a function that sleeps is woken, and the answer tells of the wait", async () => {
    await setup.start();
    setup.put({ replicas: 0, endpoints: [] });
    const call = setup.answered();
    await eventually("it is held", () => setup.entry.held.count === 1);
    expect(setup.woken).toEqual(["shout.openfaas-fn"]);
    setup.put({});
    const { status, headers } = await call;
    expect(status).toBe(200);
    expect(headers["server-timing"]).toMatch(/dur=/);
  });

  test.each([
    ["does not become ready in time", {}, "no replica of function shout.openfaas-fn became ready in time\n"],
    [
      "cannot start",
      { problem: "exited with code 1" },
      "function shout.openfaas-fn cannot start: exited with code 1\n",
    ],
  ])("a function that %s is 503 of the platform", async (_rule, snapshot, text) => {
    await setup.start({ holdTimeoutMs: 50 });
    setup.put({ endpoints: [], ...snapshot });
    const answer = await setup.answered();
    expect(answer).toMatchObject({ status: 503, internal: true, headers: { "retry-after": "1" }, text });
  });

  test("a replica that refuses is passed over", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    await setup.start();
    setup.put({ endpoints: setup.at(`127.0.0.1:${port}`, setup.site.host) });
    const answers = await Promise.all(Array.from({ length: 4 }, () => setup.answered({ body: Buffer.from("x") })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test("a function that dies before it answers is 500 of the platform", async () => {
    setup.site.answer = (_request, res) => res.destroy();
    await setup.start();
    const answer = await setup.answered();
    expect(answer).toMatchObject({ status: 500, internal: true, text: "Can't reach service for: shout.\n" });
    expect(setup.site.received).toHaveLength(1);
  });

  test.each([
    ["in memory", 20],
    ["in a file", 300_000],
  ])(
    "a function that dies in the middle of its answer, part of which is %s, is 502 of the platform",
    async (_, size) => {
      setup.site.answer = (_request, res) => {
        res.writeHead(200, { "content-length": "10000000" });
        res.write(Buffer.alloc(size), () => res.destroy());
      };
      await setup.start();
      const { status, internal, headers, result } = await setup.answered();
      expect({ status, internal, headers, bytes: result.bytes }).toEqual({
        status: 502,
        internal: true,
        headers: {},
        bytes: 0,
      });
      await eventually("its files are gone", async () => (await setup.filesLeft()).length === 0);
    },
  );

  test("a function that does not answer within the gateway's time is 504 of the platform", async () => {
    setup.site.answer = () => {};
    await setup.start({ upstreamTimeoutMs: 300 });
    const answer = await setup.answered();
    expect(answer).toMatchObject({
      status: 504,
      internal: true,
      text: "function shout.openfaas-fn did not answer in time\n",
    });
  });

  test("a call whose own time is over is 504 of the platform, and the function's connection is closed", async () => {
    let closed = false;
    setup.site.answer = (_request, res) => {
      res.writeHead(200).write("a part");
      res.on("close", () => {
        closed = true;
      });
    };
    await setup.start({ callTimeoutMs: 300 });
    const startedAt = performance.now();
    const { status, internal, headers, text } = await setup.answered();
    expect({ status, internal, headers, text }).toEqual({ status: 504, internal: true, headers: {}, text: "" });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(290);
    await eventually("the connection is closed", () => closed);
    await eventually("it counts as left", () => setup.entry.meter.codes.get(499)?.count === 1);
    expect(setup.entry.load.inFlight).toBe(0);
  });

  test.each<[defect: string, given: Partial<NewCall>]>([
    ["no slash", { path: "no slash" }],
    ["another request in the path", { path: "/a HTTP/1.1\r\nInjected: 1" }],
    ["a space in the query", { query: "a b" }],
    ["a path for a name", { function: "../system" }],
    ["a path for a namespace", { namespace: "a/b" }],
    ["two lines in the call id", { callId: "a\r\nb" }],
    ["no call id", { callId: "" }],
    ["a method that is none", { method: "GET /" }],
    ["a number for headers", { headers: 5 as unknown as [] }],
    ["headers that are no pairs", { headers: [["a", 5]] as unknown as [] }],
  ])("what cannot be sent is not: %s", async (_defect, given) => {
    await setup.start();
    expect(await setup.call(given)).toEqual({ kind: "unsendable", reason: expect.stringContaining("invalid") });
    expect(setup.site.received).toEqual([]);
  });

  test("a method that functions are not called with is 405", async () => {
    await setup.start();
    expect(await setup.answered({ method: "PROPFIND" })).toMatchObject({ status: 405, internal: false });
    expect(setup.site.received).toEqual([]);
  });

  test("a path that leads elsewhere once it is cleaned does not reach the function", async () => {
    await setup.start();
    const answer = await setup.answered({ path: "/../../system/functions" });
    expect(answer).toMatchObject({ status: 301, headers: { location: "/system/functions" } });
    expect(setup.site.received).toEqual([]);
  });
}
