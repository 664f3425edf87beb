import { expect, test } from "@jest/globals";
import type { CallLimits } from "../../../gateway/queue/stats.ts";
import { DONE, type QueueSetup, soon } from "./setup.ts";

const KB = 1000;
const body = new Uint8Array(100 * KB);
const delayed = () => ({ notBefore: Date.now() + 3_600_000 });
const full = (variable: string) => ({ kind: "overloaded", message: expect.stringContaining(variable) });

/** How many calls a queue takes, and bytes of them. */
export function roomContract(setup: QueueSetup): void {
  test("refuses calls while full, and takes them again when there is room", async () => {
    await setup.reopen({ calls: { calls: 3, functionCalls: 3 } });
    for (const name of ["a", "b", "a"]) await setup.publish({ function: name });
    await expect(setup.publish({ function: "c" })).rejects.toMatchObject(full("async_max_calls"));
    await setup.consume(async () => DONE);
    await setup.untilEmpty();
    await setup.publish();
  });

  test.each<[limit: string, calls: Partial<CallLimits>, size: number]>([
    ["async_function_max_calls", { calls: 100, functionCalls: 3 }, 10],
    ["async_function_max_bytes", { bytes: 10_000 * KB, functionBytes: 350 * KB }, 100 * KB],
  ])("a function has no more than %s, delayed calls among them; others have room", async (limit, calls, size) => {
    await setup.reopen({ calls });
    const given = { body: new Uint8Array(size), function: "greedy" };
    await setup.publish(given);
    await setup.publish({ ...given, ...delayed() });
    await setup.publish({ ...given, ...delayed() });
    await expect(setup.publish(given)).rejects.toMatchObject(full(limit));
    await expect(setup.publish({ ...given, ...delayed() })).rejects.toMatchObject(full(limit));
    await setup.publish({ ...given, function: "modest" });
    expect(await setup.queue.purge({ name: "greedy", namespace: "openfaas-fn" })).toBe(3);
    await soon("there is room again", async () => await setup.publish(given));
  });

  test("all calls together have no more bytes than they may, delayed ones and headers among them", async () => {
    await setup.reopen({ calls: { bytes: 650 * KB, functionBytes: 650 * KB } });
    for (const name of ["a", "b", "c"]) await setup.publish({ function: name, body, ...delayed() });
    const headers = Array.from({ length: 250 }, (_, i) => [`X-${i}`, "x".repeat(KB)] as const);
    await setup.publish({ function: "d", headers });
    await expect(setup.publish({ function: "e", body })).rejects.toMatchObject(full("async_max_bytes"));
    await setup.publish({ function: "e", body: new Uint8Array(10) });
  });

  test("the members of a batch take room as all calls do", async () => {
    await setup.reopen({ calls: { calls: 4, functionCalls: 4 } });
    const { id } = await setup.publish({ batch: { kind: "whole", size: 9 } });
    const member = (index: number) => setup.publish({ batch: { kind: "member", of: id, index, size: 9 } });
    for (let index = 0; index < 3; index++) await member(index);
    await expect(member(3)).rejects.toMatchObject(full("async_max_calls"));
    // One that is there already needs none.
    expect((await member(2)).duplicate).toBe(true);
  });

  test("knows after a restart how much there is, and tells of it with the limits", async () => {
    const calls = { calls: 5, bytes: 600 * KB, functionCalls: 3, functionBytes: 550 * KB };
    await setup.reopen({ calls });
    for (let i = 0; i < 3; i++) await setup.publish({ body, ...delayed() });
    await setup.reopen({ calls });
    await expect(setup.publish()).rejects.toMatchObject(full("async_function_max_calls"));
    const stats = await setup.queue.stats();
    expect(stats.limits).toEqual(calls);
    expect(stats.bytes).toBeGreaterThanOrEqual(300 * KB);
    expect(stats.bytes).toBeLessThan(320 * KB);
  });
}
