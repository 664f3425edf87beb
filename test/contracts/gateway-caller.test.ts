import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { GatewayCaller } from "../../gateway/async/worker/gateway-caller.ts";
import { StampedCaller } from "../../gateway/async/worker/stamped-caller.ts";
import { isDelivery } from "../../gateway/core/delivery-proof.ts";
import { DELIVERY } from "../../gateway/policies/identity-headers.ts";
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

test("a call of one version goes there, and proves that it is one of the function", async () => {
  const credentials = { user: "admin", password: "a long password" };
  const options = { connections: 1, timeLimit: () => 20_000, userAgent: USER_AGENT, credentials };
  caller = new GatewayCaller({ gatewayUrl: new URL(gateway.url), ...options });
  await caller.call({ ...storedCall(), headers: [["x-function-version", "v3"]] }, undefined, never);
  const [received] = gateway.received;
  expect(received?.url).toBe("/function/shout@v3.openfaas-fn/");
  const delivery = { callId: storedCall().callId, function: "shout.openfaas-fn" };
  expect(isDelivery(String(received?.headers[DELIVERY]), delivery, credentials, Date.now())).toBe(true);
});

test.each(["unknown_version", "unknown_route"])(
  "when the version is gone (%s), the function itself is called",
  async (code) => {
    const paths: string[] = [];
    const old = createServer((req, res) => {
      paths.push(`${req.url} ${req.headers["x-function-version"] ?? ""}`);
      if (req.url?.includes("@")) res.writeHead(404, { "x-faaslane-error": code }).end();
      else res.writeHead(200).end("live");
    });
    await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
    try {
      caller = callerOf(`http://127.0.0.1:${(old.address() as AddressInfo).port}`);
      const call = { ...storedCall(), headers: [["X-Function-Version", "v3"]] as const };
      const answer = await new StampedCaller(caller).call(call, undefined, never);
      expect(answer).toMatchObject({ status: 200, headers: { "x-version-downgraded": "v3" } });
      expect(paths).toEqual(["/function/shout@v3.openfaas-fn/ v3", "/function/shout.openfaas-fn/ "]);
    } finally {
      old.closeAllConnections();
      old.close();
    }
  },
);

test("a gateway that is away is unreachable, and called again once it is back", async () => {
  caller = callerOf(gateway.url);
  await gateway.down();
  expect(await caller.call(storedCall(), undefined, never)).toMatchObject({ kind: "unreachable" });
  await gateway.up();
  expect(await caller.call(storedCall(), undefined, never)).toMatchObject({ kind: "answered", status: 200 });
});
