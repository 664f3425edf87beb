import { listProblems } from "../../contract/clip.ts";
import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef, FunctionStatus } from "../../contract/functions.ts";
import { formatRoutes, parseRoutes } from "../../contract/routes/parse-routes.ts";
import type { ListedRoute } from "../../contract/routes/requests.ts";
import { type FunctionRoute, type OwnedRoute, ROUTES, takenRoutes } from "../../contract/routes/route.ts";
import type { Backend, FunctionStore, ResolvedDeployment } from "../backends/backend.ts";
import { deployedAs } from "./deployed-as.ts";

/** Stores that routes are kept in, as annotations of functions. */
export type RouteBackend = Pick<Backend, "ingressRoutes"> & {
  readonly functions: Pick<FunctionStore, "list" | "get" | "create" | "update" | "annotate">;
  readonly namespaces: Pick<Backend["namespaces"], "list">;
};

/** Where a deploy goes. */
export type Deploys = Pick<FunctionStore, "create" | "update">;

/** The routes of all functions. No two functions get the same one: those who set some do so one after another. */
export class OwnedRoutes implements Deploys {
  readonly #backend: RouteBackend;
  #last: Promise<unknown> = Promise.resolve();

  constructor(backend: RouteBackend) {
    this.#backend = backend;
  }

  /** @param namespace all when absent */
  async list(namespace?: string): Promise<ListedRoute[]> {
    const namespaces = namespace === undefined ? await this.#backend.namespaces.list() : [namespace];
    const statuses: (readonly [FunctionStatus, string])[] = [];
    for (const name of namespaces) {
      for (const status of await this.#backend.functions.list(name)) statuses.push([status, name]);
    }
    const annotated = statuses.flatMap(([status, of]) =>
      readable(status).map((route) => ({ function: status.name, namespace: of, ...route })),
    );
    const others = (this.#backend.ingressRoutes?.() ?? []).filter(({ function: ref }) =>
      namespaces.includes(ref.namespace),
    );
    const given = others.map(({ function: ref, route, source }) => {
      return { function: ref.name, namespace: ref.namespace, ...route, source };
    });
    return [...annotated, ...given] as ListedRoute[];
  }

  /** As the backend does; also fails as `invalid` for routes that cannot be read, and as `conflict` for those of others. */
  async create(deployment: ResolvedDeployment): Promise<void> {
    await this.#deploy(deployment, () => this.#backend.functions.create(deployment));
  }

  /** As {@link create}. */
  async update(deployment: ResolvedDeployment): Promise<void> {
    await this.#deploy(deployment, () => this.#backend.functions.update(deployment));
  }

  async #deploy(deployment: ResolvedDeployment, write: () => Promise<void>): Promise<void> {
    const text = deployment.annotations?.[ROUTES];
    if (text === undefined) {
      await write();
      return;
    }
    const routes = parseRoutes(text);
    const ref = { name: deployment.service, namespace: deployment.namespace };
    await this.#inTurn(async () => {
      await this.#requireFree(ref, routes);
      await write();
    });
  }

  /**
   * Gives a function these routes and no others.
   * @throws {FaasError} `notFound`; `conflict` naming the owner of one
   */
  async set(ref: FunctionRef, routes: readonly FunctionRoute[]): Promise<void> {
    await this.#inTurn(async () => {
      const status = await this.#backend.functions.get(ref);
      if (!status) throw new FaasError("notFound", `function ${ref.name} not found`, { code: "unknown_function" });
      await this.#requireFree(ref, routes);
      const text = routes.length > 0 ? formatRoutes(routes) : undefined;
      if (this.#backend.functions.annotate) {
        await this.#backend.functions.annotate(ref, ROUTES, text);
        return;
      }
      const { [ROUTES]: _, ...others } = status.annotations ?? {};
      const annotations = { ...others, ...(text !== undefined && { [ROUTES]: text }) };
      await this.#backend.functions.update({ ...deployedAs(status, ref.namespace), annotations });
    });
  }

  async #requireFree(ref: FunctionRef, routes: readonly FunctionRoute[]): Promise<void> {
    if (routes.length === 0) return;
    const taken = takenRoutes(ref, routes, (await this.list()).map(ownedOf));
    if (taken.length > 0) throw new FaasError("conflict", `routes: ${listProblems(taken)}`, { code: "route_taken" });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

function ownedOf({ function: name, namespace, source: _, ...route }: ListedRoute): OwnedRoute {
  return { function: { name, namespace }, route: route as FunctionRoute };
}

/** Nobody is kept from deploying by what somebody else wrote past this provider. */
function readable({ name, annotations = {} }: FunctionStatus): readonly FunctionRoute[] {
  const text = annotations[ROUTES];
  // A version beside the main one has the annotations of its function.
  if (text === undefined || name.includes("@")) return [];
  try {
    return parseRoutes(text);
  } catch {
    return [];
  }
}
