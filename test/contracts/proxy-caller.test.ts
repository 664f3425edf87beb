import { expect, test } from "@jest/globals";
import { ProxyCaller } from "../../gateway/async/worker/proxy-caller.ts";
import { functionCallerContract, storedCall, USER_AGENT } from "./function-caller-contract.ts";

functionCallerContract("ProxyCaller", async (proxy, timeoutMs) => {
  const caller = new ProxyCaller({ proxy, timeLimit: () => timeoutMs, userAgent: USER_AGENT });
  return { caller, close: () => caller.close() };
});

test("once it is closed, calls wait for another process", async () => {
  const forwarded: string[] = [];
  const proxy = { forward: (url: string) => void forwarded.push(url) };
  const caller = new ProxyCaller({ proxy, timeLimit: () => 1_000, userAgent: USER_AGENT });
  await caller.close();
  const answer = await caller.call(storedCall(), undefined, new AbortController().signal);
  expect(answer).toMatchObject({ kind: "unreachable" });
  expect(forwarded).toEqual([]);
});
