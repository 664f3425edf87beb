import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "@jest/globals";
import type { FunctionRef } from "../../../contract/functions.ts";
import type { FunctionSnapshot, FunctionSnapshots } from "../../../gateway/async/worker/function-snapshots.ts";
import { GatewayCaller } from "../../../gateway/async/worker/gateway-caller.ts";
import { type CallWorker, type QueueWorkerOptions, startQueueWorker } from "../../../gateway/async/worker/worker.ts";
import type { NewCall } from "../../../gateway/queue/queue.ts";
import { createLogger } from "../../../kit/log.ts";
import { eventually } from "../../support/eventually.ts";
import { MemoryQueue } from "./memory-queue.ts";

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly at: number;
}

type Answer = (request: Received, res: ServerResponse, count: number) => void;

/** A server that keeps what it gets; it can go away and come back on the same port. */
export class Site {
  readonly received: Received[] = [];
  answer: Answer = (_request, res) => res.end("ok");
  #server: Server | undefined;
  #port = 0;

  async up(): Promise<void> {
    const server = createServer(async (req, res) => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of req) chunks.push(chunk as Buffer);
      } catch {
        return; // it broke off; nobody has received it
      }
      const { method, url, headers, rawHeaders } = req as typeof req & { method: string; url: string };
      const request = { method, url, headers, rawHeaders, body: Buffer.concat(chunks), at: performance.now() };
      this.received.push(request);
      this.answer(request, res, this.received.length);
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  get port(): number {
    return this.#port;
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }
}

/** All functions have one snapshot, which a test can change, but for those of which there is another. */
export class Snapshots implements FunctionSnapshots {
  snapshot: FunctionSnapshot | undefined = { annotations: {}, readyReplicas: 1, maxInflight: 4 };
  /** By name. */
  readonly others = new Map<string, FunctionSnapshot>();
  readonly #listeners = new Set<(ref: FunctionRef) => void>();

  find({ name }: FunctionRef): FunctionSnapshot | undefined {
    return this.others.get(name) ?? this.snapshot;
  }

  change(snapshot: Partial<FunctionSnapshot>, ref: FunctionRef): void {
    this.snapshot = { annotations: {}, readyReplicas: 1, ...this.snapshot, ...snapshot };
    for (const listener of this.#listeners) listener(ref);
  }

  onChange(listener: (ref: FunctionRef) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}

/** A gateway, a receiver of callbacks, a queue, and the workers that a test starts; all new for each test. */
export class WorkerSetup {
  folder = "";
  queue = new MemoryQueue();
  gateway = new Site();
  receiver = new Site();
  functions = new Snapshots();
  logged: Record<string, unknown>[] = [];
  #workers: CallWorker[] = [];
  #callers: GatewayCaller[] = [];

  static use(): WorkerSetup {
    const setup = new WorkerSetup();
    beforeEach(async () => {
      setup.folder = await mkdtemp(join(tmpdir(), "faaslane-worker-"));
      setup.queue = new MemoryQueue();
      setup.gateway = new Site();
      setup.receiver = new Site();
      setup.functions = new Snapshots();
      setup.logged = [];
      await Promise.all([setup.gateway.up(), setup.receiver.up()]);
    });
    afterEach(async () => {
      await setup.closeWorkers();
      await Promise.all([setup.gateway.down(), setup.receiver.down()]);
      await rm(setup.folder, { recursive: true, force: true });
    });
    return setup;
  }

  async start(options: Partial<QueueWorkerOptions> = {}): Promise<CallWorker> {
    const caller = new GatewayCaller({
      gatewayUrl: new URL(`${this.gateway.url}/`),
      connections: 8,
      timeLimit: () => 20_000,
      userAgent: "faaslane-queue-worker/1.2.3",
    });
    this.#callers.push(caller);
    const worker = await startQueueWorker({
      queue: this.queue,
      caller,
      release: "1.2.3",
      functions: this.functions,
      defaults: { attempts: 3, codes: [408, 429, 500, 502, 503, 504], minWaitMs: 5, maxWaitMs: 20 },
      concurrency: 8,
      perFunction: 4,
      callbackTimeoutMs: 10_000,
      callbackRetry: { tries: 20, minWaitMs: 5, maxWaitMs: 20, deadlineMs: 20_000 },
      unreachableWaitMs: [5, 20],
      spoolFolder: this.folder,
      log: createLogger("debug", { write: (line) => this.logged.push(JSON.parse(line)) }),
      ...options,
    });
    this.#workers.push(worker);
    return worker;
  }

  async closeWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.close(0)));
    await Promise.all(this.#callers.splice(0).map((caller) => caller.close()));
  }

  get callbackUrl(): string {
    return `${this.receiver.url}/results?for=me`;
  }

  /** Until all calls have come to their end. */
  async settled(): Promise<void> {
    await eventually("all calls have ended", () => this.queue.settled, 20_000);
  }

  deadReasons(): unknown[] {
    return this.queue.dead().map(({ reason }) => reason);
  }

  async publish(given: Partial<NewCall> = {}): Promise<string> {
    return (await this.queue.publish(newCall(given))).id;
  }

  record(id: string) {
    const record = this.queue.records.find(({ call }) => call.id === id);
    if (!record) throw new Error(`no call ${id}`);
    return record;
  }
}

export function newCall(given: Partial<NewCall> = {}): NewCall {
  return {
    queue: "faas-request",
    function: "shout",
    namespace: "openfaas-fn",
    method: "POST",
    path: "/",
    query: "",
    headers: [],
    body: new Uint8Array(),
    acceptedAt: Date.now(),
    ...given,
  };
}
