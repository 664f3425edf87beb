import { join } from "node:path";
import { expect } from "@jest/globals";
import { AsyncStack } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger, ledgerHandler } from "../support/ledger.ts";
import { missingNats } from "../support/nats.ts";
import { testNeeding } from "../support/needing.ts";
import { checkOut, previousRelease } from "../support/previous-release.ts";
import type { ServerProcess } from "../support/server-process.ts";

/** Calls that each pair of releases is to carry before the next step. */
const CALLS_PER_STEP = 60;
const PARALLEL = 8;

/** Calls the gateways that there are, as what stands before them does: no new calls for one that is about to stop. */
class Balancer {
  readonly gateways: string[] = [];
  readonly failures: string[] = [];
  /** Numbers of the calls that were accepted, to be in the ledger in the end. */
  readonly accepted: number[] = [];
  answered = 0;
  #next = 0;
  #stopped = false;
  readonly #running: Promise<void>[] = [];

  start(): void {
    for (let i = 0; i < PARALLEL; i++) this.#running.push(this.#run());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Waits until that many further calls are done. */
  async carry(calls: number): Promise<void> {
    const until = this.answered + this.accepted.length + calls;
    const done = () => this.failures.length > 0 || this.answered + this.accepted.length >= until;
    await eventually(`${calls} more calls are done`, done, 60_000, 20);
  }

  async #run(): Promise<void> {
    while (!this.#stopped && this.failures.length === 0) {
      const call = this.#next++;
      const gateway = this.gateways[call % this.gateways.length] as string;
      const isAsync = call % 3 === 0;
      try {
        const path = isAsync ? "async-function" : "function";
        const response = await fetch(`${gateway}/${path}/ledger?call=${call}`, { method: "POST", body: "x" });
        const text = await response.text();
        if (isAsync && response.status === 202) this.accepted.push(call);
        else if (!isAsync && response.status === 200 && text === "done") this.answered++;
        else this.failures.push(`${call} at ${gateway}: ${response.status} ${text}`);
      } catch (error) {
        this.failures.push(`${call} at ${gateway}: ${String((error as Error).cause ?? error)}`);
      }
    }
  }
}

const release = await previousRelease();
const missing = missingNats() ?? (release === undefined ? "the history has no previous release" : undefined);

testNeeding(missing)(
  "the previous release beside this one, then alone, then gone again: no call is lost",
  async () => {
    const previous = await checkOut(release as string);
    const stack = await AsyncStack.start({
      queue: "jetstream",
      functions: { ledger: { handler: ledgerHandler('await new Promise((r) => setTimeout(r, 20)); return "done";') } },
      env: { async_function_concurrency: "8" },
    });
    const others: ServerProcess[] = [];
    try {
      const balancer = new Balancer();
      const gateway = async (name: string, root?: string) => {
        const env = { data_dir: join(stack.folder, name) };
        const started = await stack.startBeside("gateway/process/main.ts", env, root);
        others.push(started);
        balancer.gateways.push(started.url);
        return started;
      };
      const retire = async (server: ServerProcess) => {
        balancer.gateways.splice(balancer.gateways.indexOf(server.url), 1);
        expect(await server.stop()).toBe(0);
      };
      const worker = async ({ url }: ServerProcess, root?: string) => {
        const env = { gateway_url: url };
        const started = await stack.startBeside("gateway/process/queue-worker/main.ts", env, root);
        others.push(started);
        return started;
      };

      const first = await gateway("new");
      balancer.start();
      await balancer.carry(CALLS_PER_STEP);

      const old = await gateway("old", previous.root);
      const oldWorker = await worker(old, previous.root);
      await balancer.carry(CALLS_PER_STEP);

      const [present] = stack.workers;
      expect(await present?.stop()).toBe(0);
      await retire(first);
      await balancer.carry(CALLS_PER_STEP);

      await worker(await gateway("newer"));
      await balancer.carry(CALLS_PER_STEP);
      expect(await oldWorker.stop()).toBe(0);
      await retire(old);
      await balancer.carry(CALLS_PER_STEP);

      await balancer.stop();
      expect(balancer.failures).toEqual([]);
      expect(balancer.accepted.length).toBeGreaterThan(CALLS_PER_STEP);
      const ledger = new Ledger(stack.ledgerPath);
      await eventually(
        "all accepted calls have run",
        async () => {
          await ledger.read();
          return balancer.accepted.every((call) => ledger.executions.has(call));
        },
        60_000,
        50,
      );
    } finally {
      await Promise.all(others.map((server) => server.stop()));
      await stack.remove();
      await previous.remove();
    }
  },
  180_000,
);
