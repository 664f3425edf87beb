import { expect, test } from "@jest/globals";
import { eventually } from "../../support/eventually.ts";
import type { CallerSetup } from "./setup.ts";

/** Calls that are taken back: because they are cancelled, or handed back to the queue. */
export function abortsContract(setup: CallerSetup): void {
  const enough = new Error("enough");

  test.each([
    ["before the function answers", undefined],
    ["in the middle of the answer", "a part"],
    ["while its answer is being stored", Buffer.alloc(1_000_000)],
  ])("an abort %s rejects at once, and closes the function's connection", async (_rule, part) => {
    let closed = false;
    setup.site.answer = (_request, res) => {
      res.on("close", () => {
        closed = true;
      });
      if (part) res.writeHead(200).write(part);
    };
    await setup.start();
    const abort = new AbortController();
    const call = setup.call({}, abort.signal);
    await eventually("the function has it", () => setup.site.received.length === 1);
    abort.abort(enough);
    await expect(call).rejects.toBe(enough);
    await eventually("the connection is closed", () => closed);
    await eventually("it counts as left", () => setup.entry.meter.codes.get(499)?.count === 1);
    expect([setup.entry.meter.inFlight, setup.entry.load.inFlight]).toEqual([0, 0]);
    await eventually("its files are gone", async () => (await setup.filesLeft()).length === 0);
  });

  test("a signal that has aborted already lets nothing be sent", async () => {
    await setup.start();
    await expect(setup.call({}, AbortSignal.abort(enough))).rejects.toBe(enough);
    expect(setup.site.received).toEqual([]);
  });

  test("a call that is held gives up its place", async () => {
    await setup.start();
    setup.put({ replicas: 0, endpoints: [] });
    const abort = new AbortController();
    const call = setup.call({}, abort.signal);
    await eventually("it is held", () => setup.entry.held.count === 1);
    abort.abort(enough);
    await expect(call).rejects.toBe(enough);
    await eventually("its place is free", () => setup.entry.held.count === 0 && setup.entry.load.inFlight === 0);
    expect(setup.site.received).toEqual([]);
  });

  test("a call that is aborted while its function is being looked for is not made", async () => {
    await setup.startEmpty();
    setup.deployed.add("shout.openfaas-fn");
    const abort = new AbortController();
    const call = setup.call({}, abort.signal);
    abort.abort(enough);
    await expect(call).rejects.toBe(enough);
    setup.put({});
    expect((await setup.answered()).status).toBe(200);
    expect(setup.site.received).toHaveLength(1);
  });

  test("an abort after the answer changes nothing", async () => {
    await setup.start();
    const abort = new AbortController();
    const { result } = await setup.answered({}, abort.signal);
    abort.abort(enough);
    expect(result.body().toString()).toBe("ok");
  });

  test("closing cuts what is under way", async () => {
    let closed = false;
    setup.site.answer = (_request, res) => {
      res.on("close", () => {
        closed = true;
      });
    };
    await setup.start();
    const call = setup.answered();
    await eventually("the function has it", () => setup.site.received.length === 1);
    await setup.caller.close();
    await setup.caller.close();
    expect(await call).toMatchObject({ status: 502, internal: true });
    await eventually("the connection is closed", () => closed);
  });
}
