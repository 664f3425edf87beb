import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { decodeListedFunctions, type ListedFunction } from "../../contract/listed-function.ts";
import type { KnownFunction } from "../core/known-function.ts";
import { buildKnownFunction } from "./build-known-function.ts";

/** What any provider of OpenFaaS can be asked. All of it rejects when the provider does not answer. */
export interface ProviderReads {
  /** Undefined from a provider that has no namespaces. */
  namespaces(signal: AbortSignal): Promise<readonly string[] | undefined>;
  /** The list as it came; undefined when there is no such namespace. @param namespace the provider's own when undefined */
  functionsIn(namespace: string | undefined, signal: AbortSignal): Promise<string | undefined>;
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
/** Of all arrays and objects in one list. */
const MAX_VALUES = 4_000_000;
/** Lists asked for at a time. */
const AT_A_TIME = 4;

interface ReadList {
  readonly text: string;
  readonly counted: boolean;
  readonly functions: readonly KnownFunction[];
  readonly unreadable: readonly string[];
}

const NO_LIST: ReadList = { text: "", counted: false, functions: [], unreadable: [] };

/** Reads the functions of all namespaces, again and again. A list that is as it was costs no more than its transport. */
export class FunctionReader {
  readonly #reads: ProviderReads;
  readonly #defaultNamespace: string;
  /** As last read, by namespace. */
  #lists = new Map<string | undefined, ReadList>();

  /** @param defaultNamespace where functions are that do not say so, of a provider that has no namespaces */
  constructor(reads: ProviderReads, defaultNamespace: string) {
    this.#reads = reads;
    this.#defaultNamespace = defaultNamespace;
  }

  /** @throws when any part cannot be read: what is missing then might only not have been told */
  async read(signal: AbortSignal): Promise<FunctionsRead> {
    const namespaces = (await this.#reads.namespaces(signal)) ?? [];
    if (namespaces.length > MAX_NAMESPACES) throw new FaasError("upstream", "the provider has too many namespaces");
    const asked = namespaces.length > 0 ? [...new Set(namespaces)] : [undefined];
    const lists = await eachOf(asked, AT_A_TIME, (namespace) => this.#readList(namespace, signal));
    this.#lists = new Map(asked.map((namespace, index) => [namespace, lists[index] as ReadList]));
    const known = new Map<string, KnownFunction>();
    for (const { functions } of lists) {
      for (const fn of functions) if (!known.has(qualifiedName(fn))) known.set(qualifiedName(fn), fn);
      if (known.size > MAX_FUNCTIONS) throw new FaasError("upstream", "the provider has too many functions");
    }
    const functions = [...known.values()];
    const counted = lists.some((list) => list.counted);
    return {
      functions,
      uncounted: counted ? [] : functions.filter(({ replicas }) => replicas > 0),
      unreadable: new Set(lists.flatMap(({ unreadable }) => unreadable)),
    };
  }

  async #readList(namespace: string | undefined, signal: AbortSignal): Promise<ReadList> {
    const text = await this.#reads.functionsIn(namespace, signal);
    if (text === undefined) {
      await this.#confirmGone(namespace, signal);
      return NO_LIST;
    }
    const before = this.#lists.get(namespace);
    if (before?.text === text) return before;
    const { functions, unreadable } = decodeListedFunctions(parseJson(text, "the provider's answer", MAX_VALUES));
    return {
      text,
      counted: functions.some(({ availableReplicas = 0 }) => availableReplicas > 0),
      functions: functions.map((listed) =>
        buildKnownFunction({ ...listed, namespace: listed.namespace || namespace }, this.#defaultNamespace),
      ),
      unreadable,
    };
  }

  /** It may have been removed a moment ago. If not, who answered is perhaps not the provider. */
  async #confirmGone(namespace: string | undefined, signal: AbortSignal): Promise<void> {
    const now = namespace === undefined ? undefined : await this.#reads.namespaces(signal);
    if (now === undefined || (namespace !== undefined && now.includes(namespace))) {
      throw new FaasError("upstream", "the provider does not list its functions");
    }
  }
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
