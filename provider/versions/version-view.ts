import type { EndpointsEvent, FunctionEndpoints } from "../../contract/endpoints.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import { parseVersionedName } from "../../contract/versions/version-name.ts";
import { WatchHub } from "../backends/watch-hub.ts";
import { renderRows } from "./render-rows.ts";

interface Seen {
  readonly ref: FunctionRef;
  main: FunctionEndpoints | undefined;
  readonly beside: Map<string, FunctionEndpoints>;
  versions: FunctionVersions | undefined;
  /** Names of the rows that readers know. */
  told: ReadonlySet<string>;
}

/** Puts together what the backend tells of replicas and what is kept of versions, for those who follow the endpoints. */
export class VersionView {
  readonly hub = new WatchHub();
  readonly #functions = new Map<string, Seen>();
  readonly #listeners = new Map<string, Set<(version: string) => void>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns the function that it is about, and whether its own replicas run another deployment than before */
  apply(event: Exclude<EndpointsEvent, { type: "heartbeat" }>): {
    readonly ref: FunctionRef;
    readonly redeployed: boolean;
  } {
    const row = event.type === "removed" ? undefined : event.function;
    const { name, version } = parseVersionedName(event.function.name);
    const seen = this.#seen({ name, namespace: event.function.namespace });
    const redeployed = version === undefined && seen.main?.generation !== row?.generation;
    if (version === undefined) seen.main = row;
    else if (row) this.#add(seen, version, row);
    else seen.beside.delete(version);
    this.#tell(seen);
    return { ref: seen.ref, redeployed };
  }

  keep(ref: FunctionRef, versions: FunctionVersions | undefined): void {
    const seen = this.#seen(ref);
    seen.versions = versions;
    this.#tell(seen);
  }

  /** Looks again: time has passed. */
  refresh(ref: FunctionRef): void {
    const seen = this.#functions.get(qualifiedName(ref));
    if (seen) this.#tell(seen);
  }

  /** What the backend told last of the function's own replicas, or of those of a version beside it. */
  rowOf(ref: FunctionRef, version?: string): FunctionEndpoints | undefined {
    const seen = this.#functions.get(qualifiedName(ref));
    return version === undefined ? seen?.main : seen?.beside.get(version);
  }

  /** Versions that have something of the backend's beside the function's own. */
  besideOf(ref: FunctionRef): string[] {
    return [...(this.#functions.get(qualifiedName(ref))?.beside.keys() ?? [])];
  }

  /**
   * Tells of versions that come to have something beside the function's own from now on.
   * @returns ends that
   */
  onBeside(ref: FunctionRef, listener: (version: string) => void): () => void {
    const key = qualifiedName(ref);
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    };
  }

  #add(seen: Seen, version: string, row: FunctionEndpoints): void {
    const isNew = !seen.beside.has(version);
    seen.beside.set(version, row);
    if (isNew) for (const listener of this.#listeners.get(qualifiedName(seen.ref)) ?? []) listener(version);
  }

  /** All functions of which anything is known. */
  refs(): FunctionRef[] {
    return [...this.#functions.values()].map(({ ref }) => ref);
  }

  /** Forgets what the backend does not tell any more, after it had to be asked anew. */
  retain(names: ReadonlySet<string>): void {
    for (const seen of [...this.#functions.values()]) {
      if (seen.main && !names.has(qualifiedName(seen.main))) seen.main = undefined;
      for (const [version, row] of seen.beside) if (!names.has(qualifiedName(row))) seen.beside.delete(version);
      this.#tell(seen);
    }
  }

  #seen(ref: FunctionRef): Seen {
    const key = qualifiedName(ref);
    let seen = this.#functions.get(key);
    if (!seen) {
      seen = { ref, main: undefined, beside: new Map(), versions: undefined, told: new Set() };
      this.#functions.set(key, seen);
    }
    return seen;
  }

  #tell(seen: Seen): void {
    const { main, beside, versions } = seen;
    const rows = main ? renderRows({ main, beside }, versions, this.#now()) : [];
    const told = new Set(rows.map(({ name }) => name));
    for (const row of rows) this.hub.publish(row);
    for (const name of seen.told) if (!told.has(name)) this.hub.remove({ name, namespace: seen.ref.namespace });
    seen.told = told;
    if (!main && beside.size === 0 && !versions) this.#functions.delete(qualifiedName(seen.ref));
  }
}
