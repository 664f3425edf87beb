import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "@jest/globals";
import type { CallReport } from "../../contract/calls.ts";
import { AsyncStack, type AsyncStackOptions } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger, ledgerHandler } from "../support/ledger.ts";
import { describeWithNats } from "../support/nats.ts";

/** A call may take as long as its function says, whichever way it comes; everybody else's limits are far shorter here. */

const CALL_MS = 4_000;
const slow = ledgerHandler(`
  await new Promise((resolve) => setTimeout(resolve, ${CALL_MS}));
  return "late";
`);
const LIMITS = { exec_timeout: "20s", write_timeout: "20s", read_timeout: "20s" };
const STACK = {
  functions: {
    slow: { handler: slow, env: LIMITS },
    told: { handler: slow, env: LIMITS, annotations: { "com.faaslane.timeout": "1s" } },
  },
  env: {
    upstream_timeout: "1s",
    scale_up_timeout: "1s",
    ack_wait: "1s",
    initial_retry_wait: "10ms",
    max_retry_wait: "20ms",
    max_retry_attempts: "2",
  },
};

async function inStack(options: Omit<AsyncStackOptions, "functions">, work: (stack: AsyncStack) => Promise<void>) {
  const stack = await AsyncStack.start({ ...STACK, ...options });
  try {
    await work(stack);
  } catch (error) {
    process.stderr.write(stack.output());
    throw error;
  } finally {
    await stack.remove();
  }
}

async function callAndBack({ url, ledgerPath }: AsyncStack): Promise<void> {
  const called: (string | undefined)[] = [];
  const receiver = createServer((req, res) => {
    called.push(req.headers["x-function-status"] as string | undefined);
    req.resume().on("end", () => res.end());
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const headers = { "X-Callback-Url": `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/` };
  try {
    const accepted = await fetch(`${url}/async-function/slow?call=1`, { method: "POST", headers });
    const path = accepted.headers.get("location") as string;
    const told = await fetch(`${url}/async-function/told?call=2`, { method: "POST" });
    const read = async (at: string) => (await (await fetch(url + at)).json()) as CallReport;
    await eventually(
      "the call is over",
      async () => !["waiting", "running"].includes((await read(path)).state),
      30_000,
    );
    expect(await read(path)).toMatchObject({ state: "done", status: 200, attempts: 1 });
    expect(await (await fetch(`${url}${path}/result`)).text()).toBe("late");
    expect(called).toEqual(["200"]);

    const toldPath = told.headers.get("location") as string;
    await eventually("the other is over", async () => (await read(toldPath)).state === "dead", 30_000);
    expect(await read(toldPath)).toMatchObject({ status: 504, attempts: 3 });
    const ledger = new Ledger(ledgerPath);
    await ledger.read();
    expect(ledger.executions.get(1)).toHaveLength(1);
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
}

test("by the gateway's own worker a long call runs once, and one whose annotation says less is cut", async () => {
  await inStack({ queue: "embedded" }, async (stack) => {
    await callAndBack(stack);
    const answer = await fetch(`${stack.url}/function/slow?call=3`);
    expect([answer.status, await answer.text()]).toEqual([200, "late"]);
  });
}, 120_000);

test("an upstream_timeout that is set is a minimum", async () => {
  const env = { ...STACK.env, upstream_timeout: "8s" };
  await inStack({ queue: "embedded", env }, async ({ url }) => {
    const answer = await fetch(`${url}/function/told?call=1`);
    expect([answer.status, await answer.text()]).toEqual([200, "late"]);
  });
}, 120_000);

describeWithNats("jetstream", () => {
  test("by a queue worker that is silent for longer than ack_wait a long call runs once", async () => {
    await inStack({ queue: "jetstream" }, callAndBack);
  }, 120_000);
});
