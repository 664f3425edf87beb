import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import { formatRoutes, parseRoutes } from "../../../contract/routes/parse-routes.ts";
import { clash, type FunctionRoute, ROUTES } from "../../../contract/routes/route.ts";
import type { Logger } from "../../../kit/log.ts";
import type { IngressRoute } from "../backend.ts";
import type { WatchSink } from "./client/watcher.ts";
import { type FunctionIngress, readFunctionIngress } from "./resources/function-ingress.ts";

export interface FunctionIngressesOptions {
  readonly defaultNamespace: string;
  /** Routes have changed. */
  readonly onChange: () => void;
  readonly log: Pick<Logger, "warn">;
}

const keyOf = ({ metadata = {} }: FunctionIngress) => `${metadata.namespace}/${metadata.name}`;

/** The routes of FunctionIngress objects, which gateways learn of as if they were annotations of the functions. */
export class FunctionIngresses {
  readonly #options: FunctionIngressesOptions;
  readonly #routes = new Map<string, readonly IngressRoute[]>();
  /** By `name.namespace` of the function. */
  #byFunction: ReadonlyMap<string, readonly FunctionRoute[]> = new Map();

  readonly sink: WatchSink<FunctionIngress> = {
    replace: (objects) => {
      this.#routes.clear();
      for (const object of objects) this.#read(object);
      this.#changed();
    },
    put: (object) => {
      this.#read(object);
      this.#changed();
    },
    remove: (object) => {
      this.#routes.delete(keyOf(object));
      this.#changed();
    },
  };

  constructor(options: FunctionIngressesOptions) {
    this.#options = options;
  }

  list(): readonly IngressRoute[] {
    return [...this.#routes.values()].flat();
  }

  /** A function as gateways are told of it: with its own routes, then those that objects give it. */
  amend(row: FunctionEndpoints): FunctionEndpoints {
    const more = this.#byFunction.get(qualifiedName(row));
    if (more === undefined) return row;
    const own = readOwn(row.annotations[ROUTES]);
    // What it says itself goes before.
    const added = more.filter((route) => !own.some((other) => clash(other, route)));
    return { ...row, annotations: { ...row.annotations, [ROUTES]: formatRoutes([...own, ...added]) } };
  }

  #read(object: FunctionIngress): void {
    const { routes, problem } = readFunctionIngress(object, this.#options.defaultNamespace);
    if (problem !== undefined) {
      const { name, namespace } = object.metadata ?? {};
      this.#options.log.warn({ functionIngress: name, namespace, problem }, "FunctionIngress is not served");
    }
    this.#routes.set(keyOf(object), routes);
  }

  #changed(): void {
    const byFunction = new Map<string, FunctionRoute[]>();
    for (const { function: ref, route } of this.list()) {
      const routes = byFunction.get(qualifiedName(ref)) ?? [];
      // Of two objects that mean the same the first counts.
      if (!routes.some((other) => clash(other, route))) byFunction.set(qualifiedName(ref), [...routes, route]);
    }
    this.#byFunction = byFunction;
    this.#options.onChange();
  }
}

function readOwn(text: string | undefined): readonly FunctionRoute[] {
  try {
    return text === undefined ? [] : parseRoutes(text);
  } catch {
    return []; // gateways would have none of it either
  }
}
