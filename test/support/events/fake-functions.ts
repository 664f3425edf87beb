import type { KnownFunctions, SubscribingFunction } from "../../../events/triggers/function-triggers.ts";

const NAMESPACE = "shop";

/** Functions by name, and where the test has them. */
export class FakeFunctions implements KnownFunctions {
  readonly #functions = new Map<string, SubscribingFunction & { readonly url: string }>();
  readonly #listeners = new Set<() => void>();
  #generation = 0;
  whenSynced: Promise<void> = Promise.resolve();

  entries(): Iterable<SubscribingFunction> {
    return this.#functions.values();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  deploy(name: string, annotations: Record<string, string>, url = ""): void {
    this.#functions.set(name, { name, namespace: NAMESPACE, annotations, generation: ++this.#generation, url });
    for (const listener of this.#listeners) listener();
  }

  remove(name: string): void {
    this.#functions.delete(name);
    for (const listener of this.#listeners) listener();
  }

  urlOf(name: string): string | undefined {
    return this.#functions.get(name)?.url;
  }
}
