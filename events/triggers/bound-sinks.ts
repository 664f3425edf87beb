import { boundSink } from "../../contract/events/sink-binding.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { KnownFunctions } from "./function-triggers.ts";
import type { SinkName } from "./sink-triggers.ts";

/** The sinks that functions name as where their events go: these alone take events over HTTP. */
export class BoundSinks {
  readonly #functions: KnownFunctions;
  readonly #resources: Pick<ResourceStore, "get">;
  readonly #end: () => void;
  #bound: ReadonlySet<string> | undefined;

  constructor(functions: KnownFunctions, resources: Pick<ResourceStore, "get">) {
    this.#functions = functions;
    this.#resources = resources;
    this.#end = functions.onChange(() => {
      this.#bound = undefined;
    });
  }

  /** Whether a sink is declared, and a function of its namespace sends events there. @throws while it cannot be known */
  async take({ namespace, name }: SinkName): Promise<boolean> {
    await this.#functions.whenSynced;
    this.#bound ??= this.#read();
    if (!this.#bound.has(`${namespace}/${name}`)) return false;
    return (await this.#resources.get({ kind: "sink", namespace, name })) !== undefined;
  }

  #read(): Set<string> {
    const bound = new Set<string>();
    for (const { namespace, annotations } of this.#functions.entries()) {
      const name = boundSink(annotations);
      if (name !== undefined) bound.add(`${namespace}/${name}`);
    }
    return bound;
  }

  close(): void {
    this.#end();
  }
}
