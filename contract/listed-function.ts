import { z } from "zod";
import { atMost, decode, maybe, stringMap } from "./decode.ts";
import { isFunctionName } from "./functions.ts";
import { isNamespaceName } from "./namespaces.ts";

const MAX_ENTRIES = 1_000;
const settings = maybe(atMost(MAX_ENTRIES, stringMap));

/** Far above what any backend runs of one function. */
const MAX_REPLICAS = 10_000;
/** Whatever a provider says, as a number of replicas. */
const count = maybe(z.number().transform((value) => Math.min(Math.max(0, Math.floor(value)), MAX_REPLICAS)));

const listedFunction = z.object({
  name: z.string().refine(isFunctionName, "must be a name of a function"),
  namespace: maybe(z.string().refine((name) => name === "" || isNamespaceName(name), "must be a name of a namespace")),
  labels: settings,
  annotations: settings,
  envVars: settings,
  /** Replicas wanted; absent means 0. */
  replicas: count,
  /** Replicas that serve. Absent means 0, but in the lists of faasd, which leaves it out. */
  availableReplicas: count,
});
/** What any provider's status of a function says, as far as it takes to call it. */
export type ListedFunction = z.output<typeof listedFunction>;

/** @throws {FaasError} `invalid` */
export function decodeListedFunction(value: unknown): ListedFunction {
  return decode(listedFunction, value, "function status");
}

export interface DecodedList {
  readonly functions: readonly ListedFunction[];
  /** Names of entries that break a rule, where they have one; what is known of these functions may still hold. */
  readonly unreadable: readonly string[];
}

const anyList = z.array(z.unknown());

/**
 * A list of functions; entries that break a rule are told apart, so that one does not hide the others.
 * @throws {FaasError} `invalid` when it is no list
 */
export function decodeListedFunctions(value: unknown): DecodedList {
  const functions: ListedFunction[] = [];
  const unreadable: string[] = [];
  for (const entry of decode(anyList, value, "function list")) {
    const result = listedFunction.safeParse(entry);
    if (result.success) functions.push(result.data);
    else unreadable.push(nameOf(entry));
  }
  return { functions, unreadable };
}

function nameOf(entry: unknown): string {
  const name = typeof entry === "object" && entry !== null && "name" in entry ? entry.name : undefined;
  return typeof name === "string" ? name : "";
}
