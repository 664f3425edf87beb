import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { DecodedList, ListedFunction } from "../../contract/listed-function.ts";
import type { KnownFunction } from "../core/known-function.ts";
import { buildKnownFunction } from "./build-known-function.ts";

/** What any provider of OpenFaaS can be asked. All of it rejects when the provider does not answer. */
export interface ProviderReads {
  /** Undefined from a provider that has no namespaces. */
  namespaces(signal: AbortSignal): Promise<readonly string[] | undefined>;
  /** Undefined when it has no such namespace. @param namespace the provider's own when undefined */
  functionsIn(namespace: string | undefined, signal: AbortSignal): Promise<DecodedList | undefined>;
  /** Undefined when it has no such function. */
  functionOf(ref: FunctionRef, signal: AbortSignal): Promise<ListedFunction | undefined>;
}

export interface FunctionsRead {
  readonly functions: readonly KnownFunction[];
  /** Functions of which the lists do not say how many replicas serve, though some are wanted. */
  readonly uncounted: readonly KnownFunction[];
  /** Names, without namespaces, of those that could not be understood. */
  readonly unreadable: ReadonlySet<string>;
}

/** More than that nobody has, and a provider that says so is not believed. */
const MAX_NAMESPACES = 1_000;
const MAX_FUNCTIONS = 50_000;
/** Lists asked for at a time. */
const AT_A_TIME = 4;

/**
 * Reads the functions of all namespaces.
 * @param defaultNamespace where functions are that do not say so, of a provider that has no namespaces
 * @throws when any part cannot be read: what is missing then might only not have been told
 */
export async function readFunctions(
  reads: ProviderReads,
  defaultNamespace: string,
  signal: AbortSignal,
): Promise<FunctionsRead> {
  const namespaces = (await reads.namespaces(signal)) ?? [];
  if (namespaces.length > MAX_NAMESPACES) throw new FaasError("upstream", "the provider has too many namespaces");
  const asked = namespaces.length > 0 ? [...new Set(namespaces)] : [undefined];
  const lists = await eachOf(asked, AT_A_TIME, (namespace) => readList(reads, namespace, signal));
  const known = new Map<string, KnownFunction>();
  const uncounted: KnownFunction[] = [];
  const unreadable = new Set<string>();
  const isCounted = lists.some(({ list }) => list.functions.some(({ availableReplicas = 0 }) => availableReplicas > 0));
  for (const { namespace, list } of lists) {
    for (const name of list.unreadable) unreadable.add(name);
    for (const listed of list.functions) {
      const fn = buildKnownFunction({ ...listed, namespace: listed.namespace || namespace }, defaultNamespace);
      if (known.has(qualifiedName(fn))) continue;
      known.set(qualifiedName(fn), fn);
      if (!isCounted && fn.replicas > 0) uncounted.push(fn);
    }
    if (known.size > MAX_FUNCTIONS) throw new FaasError("upstream", "the provider has too many functions");
  }
  return { functions: [...known.values()], uncounted, unreadable };
}

async function readList(
  reads: ProviderReads,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<{ namespace: string | undefined; list: DecodedList }> {
  const list = await reads.functionsIn(namespace, signal);
  if (list) return { namespace, list };
  // It may have been removed a moment ago. If not, who answered is perhaps not the provider.
  const now = namespace === undefined ? undefined : await reads.namespaces(signal);
  if (now === undefined || (namespace !== undefined && now.includes(namespace))) {
    throw new FaasError("upstream", "the provider does not list its functions");
  }
  return { namespace, list: { functions: [], unreadable: [] } };
}

/** What `act` makes of each, of which no more than `atATime` are under way. */
export async function eachOf<T, R>(items: readonly T[], atATime: number, act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  const work = async () => {
    for (const [index, item] of left) results[index] = await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(atATime, items.length) }, work));
  return results;
}
