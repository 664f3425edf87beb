import { Agent, request } from "node:http";

/** How a call of a {@link SteadyLoad} ended. */
export interface LoadedCall {
  /** By `performance.now()`. */
  readonly begunAt: number;
  /** 0 for one that was not answered. */
  readonly status: number;
  /** Which version answered, where that was said. */
  readonly version: string | undefined;
}

/** So many calls a second over a few connections, whatever becomes of them, until it is stopped. */
export class SteadyLoad {
  readonly calls: LoadedCall[] = [];
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #timer: NodeJS.Timeout;
  readonly #underWay = new Set<Promise<void>>();
  #begun = 0;

  constructor(url: string, perSecond: number) {
    this.#url = url;
    const since = performance.now();
    this.#timer = setInterval(() => {
      const wanted = Math.floor(((performance.now() - since) / 1000) * perSecond);
      // What a busy machine has kept it from is not made up for all at once.
      const most = Math.min(wanted - this.#begun, 20);
      this.#begun = wanted;
      for (let call = 0; call < most; call++) this.#call();
    }, 10);
  }

  #call(): void {
    const begunAt = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (status: number, version?: string) => {
      this.calls.push({ begunAt, status, version });
      resolve();
    };
    const call = request(this.#url, { agent: this.#agent }, (answer) => {
      answer.resume();
      const version = answer.headers["x-function-version"];
      answer.on("end", () => end(answer.statusCode as number, typeof version === "string" ? version : undefined));
      answer.on("error", () => end(0));
    });
    call.on("error", () => end(0));
    call.end();
    this.#underWay.add(promise);
    void promise.then(() => this.#underWay.delete(promise));
  }

  /** Those that did not end well. */
  get failures(): readonly LoadedCall[] {
    return this.calls.filter(({ status }) => status !== 200);
  }

  /** Calls that a version answered. */
  countOf(version: string): number {
    return this.calls.reduce((count, call) => count + (call.version === version ? 1 : 0), 0);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    this.#agent.destroy();
  }
}
