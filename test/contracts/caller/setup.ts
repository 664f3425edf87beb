import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "@jest/globals";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import type { AnsweredCall, FunctionCaller } from "../../../gateway/async/function-caller.ts";
import type { ResultLimits } from "../../../gateway/async/result.ts";
import type { FunctionEntry } from "../../../gateway/proxy/function-entry.ts";
import { FunctionProxy } from "../../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../../gateway/proxy/function-table.ts";
import type { NewCall, QueuedCall } from "../../../gateway/queue/queue.ts";
import { newCall, Site } from "../../gateway/async/worker-setup.ts";

export interface OpenCaller {
  readonly caller: FunctionCaller;
  close(): Promise<void>;
}

/** @param timeoutMs of a call */
export type OpenCallerOn = (proxy: FunctionProxy, timeoutMs: number) => Promise<OpenCaller>;

export const USER_AGENT = "faaslane-queue-worker/1.2.3";

interface Limits {
  readonly callTimeoutMs: number;
  /** Of a function's answer, as the gateway has it. */
  readonly upstreamTimeoutMs: number;
  readonly holdTimeoutMs: number;
}

/** A gateway's proxy with the function `shout`, which is a server here, and a caller; all new for each test. */
export class CallerSetup {
  site = new Site();
  folder = "";
  woken: string[] = [];
  /** What the provider has, whether or not the table knows it. */
  deployed = new Set<string>();
  table!: FunctionTable;
  caller!: FunctionCaller;
  readonly #open: OpenCallerOn;
  #opened: (() => Promise<unknown>)[] = [];

  private constructor(open: OpenCallerOn) {
    this.#open = open;
  }

  static use(open: OpenCallerOn): CallerSetup {
    const setup = new CallerSetup(open);
    beforeEach(async () => {
      setup.woken = [];
      setup.deployed = new Set();
      setup.folder = await mkdtemp(join(tmpdir(), "faaslane-caller-"));
      setup.site = new Site();
      await setup.site.up();
    });
    afterEach(async () => {
      for (const close of setup.#opened.splice(0).reverse()) await close();
      await setup.site.down();
      await rm(setup.folder, { recursive: true, force: true });
    });
    return setup;
  }

  /** With the function there and ready. */
  async start(limits: Partial<Limits> = {}): Promise<void> {
    await this.startEmpty(limits);
    this.put({});
  }

  async startEmpty(limits: Partial<Limits> = {}, synced = true): Promise<void> {
    const { callTimeoutMs = 20_000, upstreamTimeoutMs = 20_000, holdTimeoutMs = 20_000 } = limits;
    const table = new FunctionTable({
      defaultNamespace: "openfaas-fn",
      maxHeld: 100,
      timeoutMs: upstreamTimeoutMs,
      connectTimeoutMs: 5_000,
    });
    const proxy = new FunctionProxy({
      table,
      provider: { exist: async () => this.deployed },
      wake: ({ qualifiedName }) => this.woken.push(qualifiedName),
      holdTimeoutMs,
      release: "test",
    });
    if (synced) table.apply({ type: "heartbeat" });
    this.table = table;
    this.#opened.push(() => table.close());
    const { caller, close } = await this.#open(proxy, callTimeoutMs);
    this.caller = caller;
    this.#opened.push(close);
  }

  put(snapshot: Partial<FunctionEndpoints>): void {
    this.table.apply({
      type: "changed",
      function: {
        name: "shout",
        namespace: "openfaas-fn",
        labels: {},
        annotations: {},
        replicas: 1,
        generation: 1,
        endpoints: this.at(this.site.host),
        ...snapshot,
      },
    });
  }

  at(...addresses: string[]): FunctionEndpoints["endpoints"] {
    return addresses.map((address) => ({ address, instance: address, state: "ready" }));
  }

  get entry(): FunctionEntry {
    return this.table.find("shout") as FunctionEntry;
  }

  /** Everything is kept, in memory up to 64 KiB, unless `keep` says otherwise. */
  call(given: Partial<NewCall> = {}, signal = never, keep: Partial<ResultLimits> = {}) {
    const limits = { memoryBytes: 65_536, maxBytes: 100_000_000, folder: this.folder, ...keep };
    return this.caller.call(storedCall(given), limits, signal);
  }

  /** An answer, of whomever. */
  async answered(...args: Parameters<CallerSetup["call"]>): Promise<AnsweredCall & { readonly text: string }> {
    const answer = await this.call(...args);
    expect(answer.kind).toBe("answered");
    const body = (answer as AnsweredCall).result.body();
    const text = Buffer.isBuffer(body) ? body.toString() : "";
    return { ...(answer as AnsweredCall), text };
  }

  async filesLeft(): Promise<string[]> {
    return await readdir(this.folder);
  }
}

const never = new AbortController().signal;

export function storedCall(given: Partial<NewCall> = {}): QueuedCall {
  const call = newCall(given);
  return { ...call, id: "the-id", callId: call.callId ?? "the-id" };
}
