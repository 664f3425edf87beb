import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import { cronAnnotations, isCronSuspended, wantsCron } from "../cron/cron-settings.ts";
import type { DeclaredSource, SourceSet } from "./declared-source.ts";

/** A function, as far as it declares a source. */
export interface AnnotatedFunction {
  readonly name: string;
  readonly namespace: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** All functions, as they are known here. */
export interface AnnotatedFunctions {
  entries(): Iterable<AnnotatedFunction>;
  /** @returns ends it */
  onChange(listener: () => void): () => void;
}

/** Sources that functions' annotations declare: the clocks that call them. */
export class FunctionSources implements SourceSet {
  readonly #functions: AnnotatedFunctions;
  readonly #listeners = new Set<() => void>();
  readonly #unlisten: () => void;
  #all: readonly DeclaredSource[];
  #seen: string;
  #looking = false;

  constructor(functions: AnnotatedFunctions) {
    this.#functions = functions;
    this.#all = this.#read();
    this.#seen = JSON.stringify(this.#all);
    this.#unlisten = functions.onChange(() => this.#lookSoon());
  }

  get all(): readonly DeclaredSource[] {
    return this.#all;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#unlisten();
    this.#listeners.clear();
  }

  /** News of functions are many, and most are of their replicas: they are looked at together. */
  #lookSoon(): void {
    if (this.#looking) return;
    this.#looking = true;
    setImmediate(() => {
      this.#looking = false;
      this.#all = this.#read();
      const seen = JSON.stringify(this.#all);
      if (seen === this.#seen) return;
      this.#seen = seen;
      for (const listener of this.#listeners) listener();
    });
  }

  #read(): readonly DeclaredSource[] {
    const found: DeclaredSource[] = [];
    for (const { name, namespace, annotations } of this.#functions.entries()) {
      // Versions beside a function have no clock of their own.
      if (name.includes("@") || !wantsCron(annotations)) continue;
      found.push({
        id: `function/${namespace}/${name}`,
        namespace,
        name,
        type: "cron-function",
        // Only where the ticks are kept: they are the function's own, whatever it subscribes to.
        broker: DEFAULT_BROKER,
        suspend: isCronSuspended(annotations),
        attributes: {},
        settings: cronAnnotations(annotations),
      });
    }
    return found;
  }
}
