import type { EndpointsEvent } from "../../contract/endpoints.ts";
import { monotonicMs, type PodState } from "./kube-child.ts";

/** A gateway's view of all pods, with the time at which each was first seen as ready, and as leaving. */
export class EndpointsReader {
  readonly #ready = new Map<string, ReadonlySet<string>>();
  readonly #readyAt = new Map<string, number>();
  readonly #leavingAt = new Map<string, number>();
  readonly #left = new AbortController();
  #done: Promise<void> = Promise.resolve();

  static async open(providerUrl: string): Promise<EndpointsReader> {
    const reader = new EndpointsReader();
    const response = await fetch(`${providerUrl}/system/endpoints`, { signal: reader.#left.signal });
    if (!response.ok || !response.body) throw new Error(`the endpoints stream answered ${response.status}`);
    reader.#done = reader.#read(response.body);
    return reader;
  }

  /** Pods that are ready now. */
  get readyPods(): number {
    let sum = 0;
    for (const pods of this.#ready.values()) sum += pods.size;
    return sum;
  }

  /** On the machine's monotonic clock, in milliseconds. */
  seenAt(pod: string, state: PodState): number | undefined {
    return (state === "ready" ? this.#readyAt : this.#leavingAt).get(pod);
  }

  async close(): Promise<void> {
    this.#left.abort();
    await this.#done;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of body) {
        const at = monotonicMs();
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() as string;
        for (const line of lines) this.#take(JSON.parse(line) as EndpointsEvent, at);
      }
    } catch (error) {
      if (!this.#left.signal.aborted) throw error;
    }
  }

  #take(event: EndpointsEvent, at: number): void {
    if (event.type === "heartbeat") return;
    const { name, namespace, endpoints } = event.function;
    const key = `${namespace}/${name}`;
    const now = new Set(endpoints.filter(({ state }) => state === "ready").map(({ instance }) => instance));
    const before = this.#ready.get(key) ?? new Set();
    for (const pod of now) if (!before.has(pod)) this.#readyAt.set(pod, at);
    // Calls are kept from it as soon as it is no longer ready.
    for (const pod of before) if (!now.has(pod)) this.#leavingAt.set(pod, at);
    if (event.type === "removed") this.#ready.delete(key);
    else this.#ready.set(key, now);
  }
}
