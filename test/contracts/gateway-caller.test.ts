import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { GatewayCaller } from "../../gateway/async/worker/gateway-caller.ts";
import { Site } from "../gateway/async/worker-setup.ts";
import { functionCallerContract, storedCall, USER_AGENT } from "./function-caller-contract.ts";

const callerOf = (gatewayUrl: string, timeoutMs = 20_000) =>
  new GatewayCaller({
    gatewayUrl: new URL(gatewayUrl),
    connections: 8,
    timeLimit: () => timeoutMs,
    userAgent: USER_AGENT,
  });

functionCallerContract("GatewayCaller", async (proxy, timeoutMs) => {
  const server = createServer((req, res) => proxy.handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const caller = callerOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, timeoutMs);
  const close = async () => {
    await caller.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { caller, close };
});

let gateway: Site;
let caller: GatewayCaller | undefined;
beforeEach(async () => {
  gateway = new Site();
  await gateway.up();
});
afterEach(async () => {
  await caller?.close();
  await gateway.down();
});
const never = new AbortController().signal;

test("a gateway below a path is called there", async () => {
  caller = callerOf(`${gateway.url}/base/`);
  await caller.call(storedCall(), undefined, never);
  expect(gateway.received[0]?.url).toBe("/base/function/shout.openfaas-fn/");
});

test("a gateway that is away is unreachable, and called again once it is back", async () => {
  caller = callerOf(gateway.url);
  await gateway.down();
  expect(await caller.call(storedCall(), undefined, never)).toMatchObject({ kind: "unreachable" });
  await gateway.up();
  expect(await caller.call(storedCall(), undefined, never)).toMatchObject({ kind: "answered", status: 200 });
});
