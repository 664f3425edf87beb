import { parseQuantity } from "../../quantity.ts";

/** Fields by which the elements of a list are told apart, as the API server does; lists without are compared in order. */
const KEYS = ["name", "mountPath", "topologyKey"] as const;

function keyOf(element: unknown): string | undefined {
  if (typeof element !== "object" || element === null) return undefined;
  const record = element as Readonly<Record<string, unknown>>;
  const key = KEYS.find((field) => typeof record[field] === "string");
  return key && String(record[key]);
}

function listCovers(actual: readonly unknown[], wanted: readonly unknown[]): boolean {
  if (wanted.some((element) => keyOf(element) === undefined)) {
    return actual.length === wanted.length && wanted.every((element, index) => covers(actual[index], element));
  }
  return wanted.every((element) => {
    const key = keyOf(element);
    return actual.some((other) => keyOf(other) === key && covers(other, element));
  });
}

/** The API server writes quantities its own way: `1000m` comes back as `1`. */
function sameQuantity(a: unknown, b: unknown): boolean {
  if (typeof a !== "string" || typeof b !== "string") return false;
  const value = parseQuantity(a);
  return value !== undefined && value === parseQuantity(b);
}

/**
 * Whether `actual` has everything that `wanted` asks for. It may have more: defaults of the API server, and what others
 * have set. What `wanted` once asked for and no longer does goes unseen, which is what the hash is for.
 */
export function covers(actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return Array.isArray(actual) ? listCovers(actual, wanted) : wanted.length === 0;
  if (typeof wanted === "object" && wanted !== null) {
    if (typeof actual !== "object" || actual === null) return Object.keys(wanted).length === 0;
    const have = actual as Readonly<Record<string, unknown>>;
    return Object.entries(wanted).every(([key, value]) =>
      // The API server leaves out what is empty: texts, lists, zeros. A false that we ask for it keeps, and without it
      // some fields mean true.
      have[key] === undefined ? isEmpty(value) : covers(have[key], value) || sameQuantity(have[key], value),
    );
  }
  return actual === wanted;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === "" || value === 0) return true;
  return typeof value === "object" && value !== null && Object.values(value).every(isEmpty);
}
