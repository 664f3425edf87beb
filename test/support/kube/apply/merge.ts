import type { TypeRef } from "../schema/notation.ts";
import { type Fields, isFields } from "../types.ts";
import { elementsOf, type FieldPath, itemElement, memberType } from "./field-set.ts";

/** What is applied laid over what is there: objects and keyed lists merge, all else is replaced. */
export function mergeApplied(type: TypeRef | undefined, live: unknown, applied: unknown): unknown {
  if (isFields(applied) && isFields(live) && !(type !== undefined && "atomic" in type && type.atomic)) {
    const result: Record<string, unknown> = { ...live };
    for (const [name, value] of Object.entries(applied)) {
      result[name] = mergeApplied(memberType(type, name), live[name], value);
    }
    return result;
  }
  if (Array.isArray(applied) && Array.isArray(live) && type?.kind === "list" && type.keys !== undefined) {
    return mergeLists(type.of, type.keys, live, applied);
  }
  return applied;
}

function mergeLists(of: TypeRef, keys: readonly string[] | "set", live: unknown[], applied: unknown[]): unknown[] {
  const liveItems = new Map(live.map((item) => [itemElement(keys, item), item]));
  const merged = new Map(
    applied.map((item) => {
      const element = itemElement(keys, item);
      return [element, mergeApplied(of, liveItems.get(element), item)] as const;
    }),
  );
  // In the order that was applied if nobody else has items; otherwise new ones go to the end.
  if ([...liveItems.keys()].every((element) => merged.has(element))) return [...merged.values()];
  const kept = [...liveItems].map(([element, item]) => merged.get(element) ?? item);
  const added = [...merged].filter(([element]) => !liveItems.has(element)).map(([, item]) => item);
  return [...kept, ...added];
}

/** The object without the values at these paths, and without objects that have become empty by that. */
export function removePaths(type: TypeRef, object: Fields, paths: readonly FieldPath[]): Fields {
  return paths.reduce<Fields>((rest, path) => (removeAt(type, rest, elementsOf(path)) ?? {}) as Fields, object);
}

/** Undefined when nothing is left. */
function removeAt(type: TypeRef | undefined, value: unknown, [element, ...rest]: readonly string[]): unknown {
  if (element === undefined) return undefined;
  if (Array.isArray(value)) {
    if (type?.kind !== "list" || type.keys === undefined) return value;
    const keys = type.keys;
    const left = value.flatMap((item: unknown) => {
      if (itemElement(keys, item) !== element) return [item];
      const remaining = removeAt(type.of, item, rest);
      return remaining === undefined ? [] : [remaining];
    });
    return left.length === 0 ? undefined : left;
  }
  const name = element.slice(2);
  if (!isFields(value) || value[name] === undefined) return value;
  const remaining = removeAt(memberType(type, name), value[name], rest);
  const result: Record<string, unknown> = { ...value };
  if (remaining === undefined) delete result[name];
  else result[name] = remaining;
  return Object.keys(result).length === 0 ? undefined : result;
}
