import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "@jest/globals";
import { decodeCallReport } from "../../contract/calls.ts";
import { AsyncStack, type AsyncStackOptions } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger, ledgerHandler } from "../support/ledger.ts";
import { describeWithNats } from "../support/nats.ts";
import { runCli } from "../support/platform.ts";

/**
 * A function that has answered does not run again for its callback, whatever dies meanwhile: real processes are killed while
 * callbacks fail and hang, and the function notes each execution in a file.
 */

const CALLS = 12;
const DEADLINE_MS = 60_000;
const FUNCTIONS: AsyncStackOptions["functions"] = { ledger: { handler: ledgerHandler('return "the answer";') } };
const ENV = { ack_wait: "2s", drain_timeout: "1s" };

type Mode = "busy" | "silent" | "well" | "gone";

/** What callbacks are sent to: is told how to take them. */
class Receiver {
  mode: Mode = "busy";
  /** By the path that each call has of its own: how many tries it had, and those that were taken. */
  readonly tries = new Map<string, number>();
  readonly taken = new Map<string, string[]>();
  readonly hanging = new Set<ServerResponse>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<Receiver> {
    const server = createServer();
    const receiver = new Receiver(server);
    server.on("request", async (req, res) => {
      const path = req.url as string;
      let body = "";
      try {
        for await (const piece of req) body += piece;
      } catch {
        return; // its sender has died
      }
      receiver.tries.set(path, (receiver.tries.get(path) ?? 0) + 1);
      receiver.#answer(path, body, res);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  #answer(path: string, body: string, res: ServerResponse): void {
    // Long enough for all of them to wait at a time, on a slow machine too.
    if (this.mode === "busy") res.writeHead(503, { "retry-after": "5" }).end();
    else if (this.mode === "gone") res.writeHead(410).end();
    else if (this.mode === "silent") {
      this.hanging.add(res);
      res.on("close", () => this.hanging.delete(res));
    } else {
      this.taken.set(path, [...(this.taken.get(path) ?? []), body]);
      res.end();
    }
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, DEADLINE_MS, 50);

async function withStack(
  options: Pick<AsyncStackOptions, "queue" | "workers">,
  play: (stack: AsyncStack, receiver: Receiver) => Promise<void>,
): Promise<void> {
  const receiver = await Receiver.open();
  const stack = await AsyncStack.start({ ...options, functions: FUNCTIONS, env: ENV });
  try {
    await play(stack, receiver);
  } catch (error) {
    process.stderr.write(stack.output());
    throw error;
  } finally {
    expect(await stack.remove()).toEqual([]);
    await receiver.close();
  }
}

async function post(stack: AsyncStack, receiver: Receiver, call: number): Promise<string> {
  const answer = await fetch(`${stack.url}/async-function/ledger?call=${call}`, {
    method: "POST",
    headers: { "X-Callback-Url": `${receiver.url}/${call}` },
    body: `request ${call}`,
  });
  expect(answer.status).toBe(202);
  return answer.headers.get("x-call-id") as string;
}

async function report(stack: AsyncStack, id: string) {
  const answer = await fetch(`${stack.url}/async-function/${id}`);
  return decodeCallReport(await answer.json());
}

const untilAll = (
  stack: AsyncStack,
  ids: readonly string[],
  what: string,
  is: (call: Awaited<ReturnType<typeof report>>) => boolean,
) =>
  soon(what, async () => {
    const calls = await Promise.all(ids.map((id) => report(stack, id)));
    const others = calls.filter((call) => !is(call));
    if (others.length > 0) throw new Error(`${others.length} are not so: ${JSON.stringify(others[0])}`);
    return true;
  });

async function executions(stack: AsyncStack): Promise<number[]> {
  const ledger = new Ledger(stack.ledgerPath);
  await ledger.read();
  return Array.from({ length: CALLS }, (_, call) => ledger.executions.get(call)?.length ?? 0);
}

/** @param kill kills whoever makes callbacks, and starts it again */
async function outlive(stack: AsyncStack, receiver: Receiver, kill: () => Promise<void>): Promise<void> {
  const ids = await Promise.all(Array.from({ length: CALLS }, (_, call) => post(stack, receiver, call)));
  await untilAll(stack, ids, "all wait for their callback", ({ callback, state, status }) => {
    return callback?.state === "waiting" && ["waiting", "running"].includes(state) && status === 200;
  });
  receiver.mode = "silent";
  await kill();
  await soon("all are tried again", () => receiver.hanging.size === CALLS);
  await kill();
  receiver.mode = "well";
  await untilAll(stack, ids, "all are done", ({ state }) => state === "done");
  expect(await executions(stack)).toEqual(Array(CALLS).fill(1));
  expect([...receiver.taken.keys()].toSorted()).toEqual(
    Array.from({ length: CALLS }, (_, call) => `/${call}`).toSorted(),
  );
  expect(new Set([...receiver.taken.values()].flat())).toEqual(new Set(["the answer"]));
  const stats = (await (await fetch(`${stack.url}/system/queue`)).json()) as object;
  expect(stats).toMatchObject({ waiting: 0, inFlight: 0, dead: 0 });
}

/** A stop stores what is being tried for the first time, rather than have the function run again. */
async function outliveStop(stack: AsyncStack, receiver: Receiver, restart: () => Promise<void>): Promise<void> {
  receiver.mode = "silent";
  const ids = await Promise.all(Array.from({ length: CALLS }, (_, call) => post(stack, receiver, call)));
  await soon("all are tried", () => receiver.hanging.size === CALLS);
  await restart();
  receiver.mode = "well";
  await untilAll(stack, ids, "all are done", ({ state, attempts }) => state === "done" && attempts === 1);
  expect(await executions(stack)).toEqual(Array(CALLS).fill(1));
  expect(receiver.taken.size).toBe(CALLS);
}

/** A dead letter of a callback is got rid of without another execution. */
async function sendAgain(stack: AsyncStack, receiver: Receiver): Promise<void> {
  receiver.mode = "gone";
  const id = await post(stack, receiver, 0);
  await untilAll(stack, [id], "it is dead", ({ state }) => state === "dead");
  expect(await report(stack, id)).toMatchObject({
    reason: "the callback failed: status 410",
    callback: { state: "failed", tries: 1, reason: "status 410" },
  });
  receiver.mode = "well";
  const cli = await runCli(["queue", "callback", id], { cwd: stack.folder, env: { OPENFAAS_URL: stack.url } });
  expect(cli).toMatchObject({ code: 0, stdout: `Callback queued: ${id}\n` });
  await untilAll(
    stack,
    [id],
    "it is done",
    ({ state, callback }) => state === "done" && callback?.state === "delivered",
  );
  const letters = (await (await fetch(`${stack.url}/system/queue/dead-letters`)).json()) as object;
  expect(letters).toEqual({ items: [] });
  expect(receiver.taken.get("/0")).toEqual(["the answer"]);
  expect((await executions(stack))[0]).toBe(1);
}

describe("on the embedded queue", () => {
  test("callbacks outlive the platform that is killed while they wait and while they are made", async () => {
    await withStack({ queue: "embedded" }, async (stack, receiver) => {
      await outlive(stack, receiver, async () => {
        await stack.gateway.kill();
        await stack.startGateway();
      });
    });
  }, 240_000);

  test("callbacks outlive a stop while the first try of each is under way", async () => {
    await withStack({ queue: "embedded" }, async (stack, receiver) => {
      await outliveStop(stack, receiver, async () => {
        await stack.gateway.stop();
        await stack.startGateway();
      });
    });
  }, 240_000);

  test("a callback is sent again without running the function", async () => {
    await withStack({ queue: "embedded" }, sendAgain);
  }, 240_000);
});

describeWithNats("on JetStream", () => {
  test("callbacks outlive the workers that are killed while they wait and while they are made", async () => {
    await withStack({ queue: "jetstream", workers: 2 }, async (stack, receiver) => {
      await outlive(stack, receiver, async () => {
        await Promise.all(stack.workers.map((worker) => worker.kill()));
        await Promise.all(stack.workers.map((_, place) => stack.startWorker(place)));
      });
    });
  }, 240_000);

  test("callbacks outlive a stop while the first try of each is under way", async () => {
    await withStack({ queue: "jetstream" }, async (stack, receiver) => {
      await outliveStop(stack, receiver, async () => {
        await stack.workers[0]?.stop();
        await stack.startWorker(0);
      });
    });
  }, 240_000);

  test("a callback is sent again without running the function", async () => {
    await withStack({ queue: "jetstream" }, sendAgain);
  }, 240_000);
});
