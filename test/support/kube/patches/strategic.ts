import { isDeepStrictEqual } from "node:util";
import type { ListType, StructType, TypeRef } from "../schema/notation.ts";
import { badRequest } from "../status.ts";
import { type Fields, isFields } from "../types.ts";

const ANY: TypeRef = { kind: "scalar", scalar: "any" };

/**
 * Applies a strategic merge patch: as a merge patch, but lists that declare a merge key are merged item by item.
 * Understands the directives `$patch: replace | delete | merge`, `$retainKeys`, `$deleteFromPrimitiveList` and
 * `$setElementOrder`.
 * @throws {ApiError} bad request for an item without its merge key or an unknown directive
 */
export function applyStrategicPatch(type: StructType, target: Fields, patch: Fields): Fields {
  return mergeObject(type, target, patch) ?? {};
}

function mergeObject(type: TypeRef, target: Fields, patch: Fields): Fields | undefined {
  const { $patch: directive, $retainKeys: retained, ...changes } = patch;
  if (directive === "delete") return undefined;
  if (directive === "replace") return withoutNulls(changes);
  if (directive !== undefined && directive !== "merge")
    throw badRequest(`invalid value for $patch: ${String(directive)}`);
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(target)) {
    if (!Array.isArray(retained) || retained.includes(name)) result[name] = value;
  }
  for (const [key, change] of Object.entries(changes)) {
    const deleteFrom = /^\$deleteFromPrimitiveList\/(.+)$/.exec(key)?.[1];
    if (deleteFrom !== undefined) {
      const doomed = change as readonly unknown[];
      result[deleteFrom] = ((result[deleteFrom] ?? []) as readonly unknown[]).filter((item) => !doomed.includes(item));
    } else if (change === null) delete result[key];
    else if (!key.startsWith("$setElementOrder/")) {
      const merged = mergeValue(fieldType(type, key), result[key], change);
      if (merged === undefined) delete result[key];
      else result[key] = merged;
    }
  }
  for (const [key, order] of Object.entries(changes)) {
    const list = /^\$setElementOrder\/(.+)$/.exec(key)?.[1];
    if (list !== undefined) result[list] = reorder(fieldType(type, list), result[list], order as readonly unknown[]);
  }
  return result;
}

function fieldType(type: TypeRef, name: string): TypeRef {
  if (type.kind === "struct") return type.field(name)?.type ?? ANY;
  return type.kind === "map" ? type.of : ANY;
}

function mergeValue(type: TypeRef, current: unknown, change: unknown): unknown {
  if (Array.isArray(change)) {
    if (type.kind !== "list" || type.mergeKey === undefined) return change;
    return mergeList(type, Array.isArray(current) ? current : [], change);
  }
  if (!isFields(change)) return change;
  return mergeObject(type, isFields(current) ? current : {}, change);
}

function mergeList(type: ListType, current: readonly unknown[], changes: readonly unknown[]): unknown[] {
  if (type.mergeKey === "set") return [...current, ...changes.filter((item) => !current.includes(item))];
  const key = type.mergeKey as string;
  const replaces = changes.some((item) => isFields(item) && item.$patch === "replace" && item[key] === undefined);
  if (replaces) return changes.filter((item) => isFields(item) && item.$patch === undefined);
  const result = [...current];
  for (const change of changes) {
    if (!isFields(change) || change[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(change)} does not contain declared merge key: ${key}`);
    }
    const index = result.findIndex((item) => isFields(item) && item[key] === change[key]);
    const merged = mergeObject(type.of, index < 0 ? {} : (result[index] as Fields), change);
    if (index < 0) {
      if (merged !== undefined) result.push(merged);
    } else if (merged === undefined) result.splice(index, 1);
    else result[index] = merged;
  }
  return result;
}

/** Items that the order names come in it; the others keep their places relative to them as well as may be. */
function reorder(type: TypeRef, value: unknown, order: readonly unknown[]): unknown {
  if (!Array.isArray(value) || type.kind !== "list" || type.mergeKey === undefined) return value;
  const key = type.mergeKey;
  const rank = (item: unknown) =>
    order.findIndex((wanted) =>
      key === "set" ? isDeepStrictEqual(wanted, item) : isFields(wanted) && isFields(item) && wanted[key] === item[key],
    );
  const ordered = value.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
  return value.map((item) => (rank(item) < 0 ? item : ordered.shift()));
}

function withoutNulls(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
