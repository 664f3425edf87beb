import type { StructType, TypeRef } from "../schema/notation.ts";
import { type Fields, type FieldsV1, isFields } from "../types.ts";

/** Separates the elements of a path; it cannot occur in JSON text or names. */
const SEPARATOR = "\u0000";

/** A path to a value: elements as in FieldsV1 (`f:spec`, `k:{"name":"x"}`, `v:"x"`), joined. */
export type FieldPath = string;

/** Every path that can have an owner, with a text that tells whether its value has changed. */
export type Leaves = ReadonlyMap<FieldPath, string>;

/** Metadata belongs to the server, apart from these. */
const OWNED_METADATA = ["labels", "annotations", "finalizers", "ownerReferences"];

/** @param withStatus whether the status counts; it does not where only `/status` may write it */
export function leavesOf(type: StructType, object: Fields, withStatus: boolean): Leaves {
  const leaves = new Map<FieldPath, string>();
  for (const [name, value] of Object.entries(object)) {
    if (name === "apiVersion" || name === "kind" || (name === "status" && !withStatus)) continue;
    const field = type.field(name);
    if (name === "metadata") {
      const owned = Object.entries(value as Fields).filter(([key]) => OWNED_METADATA.includes(key));
      if (owned.length > 0 && field !== undefined) collect(field.type, Object.fromEntries(owned), "f:metadata", leaves);
    } else collect(field?.type, value, `f:${name}`, leaves);
  }
  return leaves;
}

function collect(type: TypeRef | undefined, value: unknown, path: FieldPath, leaves: Map<FieldPath, string>): void {
  if (type?.kind === "list" && type.keys !== undefined && Array.isArray(value) && value.length > 0) {
    for (const item of value as unknown[]) {
      const element = `${path}${SEPARATOR}${itemElement(type.keys, item)}`;
      // The item itself is a member too: who lists it keeps it there.
      leaves.set(element, "");
      if (type.keys !== "set" && isFields(item)) collectFields(type.of, item, element, leaves);
    }
  } else if (isFields(value) && Object.keys(value).length > 0 && isGranular(type)) {
    collectFields(type, value, path, leaves);
  } else leaves.set(path, JSON.stringify(value));
}

/** Objects of types that are not declared are granular too, as far as they are objects. */
function isGranular(type: TypeRef | undefined): boolean {
  return type === undefined || type.kind === "list" || type.kind === "scalar" || !type.atomic;
}

function collectFields(
  type: TypeRef | undefined,
  value: Fields,
  path: FieldPath,
  leaves: Map<FieldPath, string>,
): void {
  for (const [name, item] of Object.entries(value)) {
    collect(memberType(type, name), item, `${path}${SEPARATOR}f:${name}`, leaves);
  }
}

export function memberType(type: TypeRef | undefined, name: string): TypeRef | undefined {
  if (type?.kind === "struct") return type.field(name)?.type;
  return type?.kind === "map" ? type.of : undefined;
}

/** How FieldsV1 names an item of a list. */
export function itemElement(keys: readonly string[] | "set", item: unknown): string {
  if (keys === "set" || !isFields(item)) return `v:${JSON.stringify(item)}`;
  // The one key with a default: ports that do not say so are for TCP.
  const named = keys.map((key) => [key, item[key] ?? (key === "protocol" ? "TCP" : "")] as const);
  return `k:${JSON.stringify(Object.fromEntries(named))}`;
}

export function elementsOf(path: FieldPath): string[] {
  return path.split(SEPARATOR);
}

export function isBeneath(path: FieldPath, ancestor: FieldPath): boolean {
  return path.startsWith(`${ancestor}${SEPARATOR}`);
}

/** Whether a field is one of those that its item is told apart by. */
export function isKeyOfItem(path: FieldPath): boolean {
  const [field, item] = elementsOf(path).reverse() as [string, string | undefined];
  return item?.startsWith("k:") === true && Object.hasOwn(JSON.parse(item.slice(2)) as Fields, field.slice(2));
}

/** `.spec.template.spec.containers[name="x"].image`, as conflicts name it. */
export function formatPath(path: FieldPath): string {
  return elementsOf(path)
    .map((element) => {
      const content = element.slice(2);
      if (element.startsWith("f:")) return `.${content}`;
      if (element.startsWith("v:")) return `[=${content}]`;
      const keys = Object.entries(JSON.parse(content) as Fields).map(
        ([key, value]) => `${key}=${JSON.stringify(value)}`,
      );
      return `[${keys.join(",")}]`;
    })
    .join("");
}

export function toFieldsV1(paths: Iterable<FieldPath>): FieldsV1 {
  const root: Record<string, FieldsV1> = {};
  for (const path of [...paths].sort()) {
    let node = root;
    for (const element of elementsOf(path)) {
      node[element] ??= {};
      node = node[element] as Record<string, FieldsV1>;
    }
    // Sorted, a path comes before those beneath it: what stays empty is a leaf and needs no mark.
    node["."] = {};
  }
  return dropMarksOfLeaves(root);
}

function dropMarksOfLeaves(node: FieldsV1): FieldsV1 {
  const names = Object.keys(node);
  if (names.length === 1 && names[0] === ".") return {};
  return Object.fromEntries(names.map((name) => [name, dropMarksOfLeaves(node[name] as FieldsV1)]));
}

export function fromFieldsV1(fields: FieldsV1): Set<FieldPath> {
  const paths = new Set<FieldPath>();
  const visit = (node: FieldsV1, path: FieldPath) => {
    const names = Object.keys(node);
    if (path !== "" && (names.length === 0 || names.includes("."))) paths.add(path);
    for (const name of names) {
      if (name !== ".") visit(node[name] as FieldsV1, path === "" ? name : `${path}${SEPARATOR}${name}`);
    }
  };
  visit(fields, "");
  return paths;
}
