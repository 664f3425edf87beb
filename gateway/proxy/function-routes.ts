import { join } from "node:path";
import { toFaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { parseRoutes } from "../../contract/routes/parse-routes.ts";
import { describeRoute, type FunctionRoute, type OwnedRoute, ROUTES } from "../../contract/routes/route.ts";
import type { HostCertificate } from "../../kit/certificates.ts";
import type { Logger } from "../../kit/log.ts";
import { RouteTable } from "../core/routes/route-table.ts";
import type { FunctionTable } from "./function-table.ts";

interface Known {
  readonly text: string;
  readonly owned: readonly OwnedRoute[];
}

/** The routes of all functions that the gateway knows, as their annotations say. */
export class FunctionRoutes {
  readonly #known = new Map<string, Known>();
  readonly #functions: Pick<FunctionTable, "find">;
  readonly #log: Pick<Logger, "warn"> | undefined;
  readonly #listeners: (() => void)[] = [];
  /** Conflicts that were told, so that each is told once. */
  #told = new Set<string>();
  #table = RouteTable.EMPTY;

  /** @param log absent where another thread says the same */
  constructor(functions: Pick<FunctionTable, "find" | "onChange">, log?: Pick<Logger, "warn">) {
    this.#functions = functions;
    this.#log = log;
    functions.onChange((ref) => this.#look(ref));
  }

  get table(): RouteTable {
    return this.#table;
  }

  /** All that there are, those included that are not served. */
  get owned(): readonly OwnedRoute[] {
    return [...this.#known.values()].flatMap(({ owned }) => owned);
  }

  /**
   * Where the certificates are that routes name for their hosts.
   * @param folder of secrets, `<namespace>/<name>`
   */
  certificates(folder: string): HostCertificate[] {
    return this.#table.served.flatMap(({ function: { namespace }, route: { host, certificate } }) =>
      host === undefined || certificate === undefined ? [] : [{ host, path: join(folder, namespace, certificate) }],
    );
  }

  /** Calls `listener` after each change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  #look(ref: FunctionRef): void {
    // A version beside the main one has the function's own annotations.
    if (ref.name.includes("@")) return;
    const name = qualifiedName(ref);
    const text = this.#functions.find(name)?.snapshot.annotations[ROUTES];
    if (text === this.#known.get(name)?.text) return;
    if (text === undefined) this.#known.delete(name);
    else this.#known.set(name, { text, owned: this.#read(ref, text) });
    this.#table = new RouteTable(this.owned);
    this.#tell();
    for (const listener of this.#listeners) listener();
  }

  #read({ name, namespace }: FunctionRef, text: string): readonly OwnedRoute[] {
    let routes: readonly FunctionRoute[] = [];
    try {
      routes = parseRoutes(text);
    } catch (error) {
      const why = toFaasError(error).message;
      this.#log?.warn({ function: name, namespace, why }, "cannot read the function's routes; it has none");
    }
    return routes.map((route) => ({ function: { name, namespace }, route }));
  }

  #tell(): void {
    const told = new Set<string>();
    for (const { function: ref, route, owner } of this.#table.conflicts) {
      const facts = { route: describeRoute(route), function: qualifiedName(ref), owner: qualifiedName(owner) };
      const key = JSON.stringify(facts);
      told.add(key);
      if (!this.#told.has(key)) this.#log?.warn(facts, "route is not served: another function has the same");
    }
    this.#told = told;
  }
}
