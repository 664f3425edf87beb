import { setTimeout as delay } from "node:timers/promises";

/** A call that was answered with 202. */
export interface Accepted {
  /** The caller's number for it. */
  readonly call: number;
  readonly id: string;
}

export interface LoadOptions {
  /** Calls to be accepted, after which no more are made. */
  readonly calls: number;
  readonly inFlight: number;
  /** The call with this number: path below `/async-function/` with query, and more of the request. */
  request(call: number): { readonly path: string; readonly init?: RequestInit };
}

/** Makes asynchronous calls, going on whatever is refused or cut off. */
export class AsyncLoad {
  readonly accepted: Accepted[] = [];
  /** Numbers of calls that were refused or whose answer did not come: whether they run is open. */
  readonly unsure = new Set<number>();
  readonly refusals = new Map<string, number>();
  readonly ended: Promise<void>;
  #next = 0;
  #open = 0;

  constructor(url: string, options: LoadOptions) {
    this.ended = Promise.all(Array.from({ length: options.inFlight }, () => this.#run(url, options))).then(
      () => undefined,
    );
  }

  async #run(url: string, { calls, request }: LoadOptions): Promise<void> {
    while (this.accepted.length + this.#open < calls) {
      const call = this.#next++;
      const { path, init } = request(call);
      this.#open++;
      try {
        const answer = await fetch(`${url}/async-function/${path}`, { method: "POST", ...init });
        await answer.arrayBuffer();
        if (answer.status === 202) {
          const location = answer.headers.get("location") as string;
          this.accepted.push({ call, id: location.slice(location.lastIndexOf("/") + 1) });
          continue;
        }
        this.#refused(call, String(answer.status));
      } catch (error) {
        const { cause } = error as { cause?: { code?: string } };
        this.#refused(call, cause?.code ?? String(error));
      } finally {
        this.#open--;
      }
      await delay(20);
    }
  }

  #refused(call: number, why: string): void {
    this.unsure.add(call);
    this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
  }
}

/** What `look` answers for each of `items`, some at a time. */
export async function mapSome<T, R>(
  items: readonly T[],
  inFlight: number,
  look: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const work = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await look(items[i] as T);
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return results;
}
