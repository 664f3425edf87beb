import { isDeepStrictEqual } from "node:util";
import { qualifiedName } from "../../contract/functions.ts";
import type { FunctionEvent, KnownFunction } from "../core/known-function.ts";

interface Known {
  fn: KnownFunction;
  /** When the reading that told so began. Times by `performance.now()`. */
  begunAt: number;
  /** Not there in the last reading; one could be of a provider that has just begun. */
  missed: boolean;
}

/**
 * What was read of functions one after the other, and what of each reading is news. Readings overtake each other, and
 * orders to scale: what began before the last of them says nothing.
 */
export class PolledFunctions {
  readonly #known = new Map<string, Known>();
  readonly #orderedAt = new Map<string, number>();

  /** Whether functions are to be looked for again soon. */
  get someMissed(): boolean {
    return [...this.#known.values()].some(({ missed }) => missed);
  }

  /** @param name `name.namespace`, as all here */
  find(name: string): KnownFunction | undefined {
    return this.#known.get(name)?.fn;
  }

  /** The provider has taken an order to scale it. */
  ordered(name: string, at: number): void {
    if (this.#known.has(name)) this.#orderedAt.set(name, at);
  }

  /** One function as read. @returns the news, if it is any */
  take(fn: KnownFunction, begunAt: number): FunctionEvent | undefined {
    const name = qualifiedName(fn);
    const known = this.#known.get(name);
    if (known && begunAt < Math.max(known.begunAt, this.#orderedAt.get(name) ?? 0)) return undefined;
    this.#known.set(name, { fn, begunAt, missed: false });
    return known && (known.fn === fn || isDeepStrictEqual(known.fn, fn))
      ? undefined
      : { type: "changed", function: fn };
  }

  /** The provider does not know it. @returns its removal, if that was said twice */
  miss(name: string, begunAt: number): FunctionEvent | undefined {
    const known = this.#known.get(name);
    if (!known || begunAt < Math.max(known.begunAt, this.#orderedAt.get(name) ?? 0)) return undefined;
    known.begunAt = begunAt;
    if (!known.missed) {
      known.missed = true;
      return undefined;
    }
    this.#known.delete(name);
    this.#orderedAt.delete(name);
    return { type: "removed", function: known.fn };
  }

  /**
   * All functions as read.
   * @param unreadable names, without namespaces, of functions that are there in words that nobody understands
   */
  takeAll(functions: readonly KnownFunction[], unreadable: ReadonlySet<string>, begunAt: number): FunctionEvent[] {
    const events: (FunctionEvent | undefined)[] = functions.map((fn) => this.take(fn, begunAt));
    const listed = new Set(functions.map(qualifiedName));
    for (const [name, { fn }] of [...this.#known]) {
      if (!listed.has(name) && !unreadable.has(fn.name)) events.push(this.miss(name, begunAt));
    }
    return events.filter((event) => event !== undefined);
  }

  /** Everything that is known. */
  functions(): KnownFunction[] {
    return [...this.#known.values()].map(({ fn }) => fn);
  }

  clear(): void {
    this.#known.clear();
    this.#orderedAt.clear();
  }
}
