import type { StructType, TypeRef } from "../schema/notation.ts";
import { type Fields, isFields } from "../types.ts";
import { itemElement, memberType } from "./field-set.ts";

/**
 * Why an object cannot be applied: unlike other writes, apply insists on declared fields, right types, and lists whose
 * items are distinct. In the words of the API server, each with its path.
 */
export function typedProblems(type: StructType, object: Fields): string[] {
  const problems: string[] = [];
  visit(type, object, "", problems);
  return problems;
}

function visit(type: TypeRef, value: unknown, path: string, problems: string[]): void {
  if (value === null || value === undefined) return;
  switch (type.kind) {
    case "scalar": {
      const wrong = mismatch(type.scalar, value);
      if (wrong !== undefined) problems.push(`${path}: ${wrong}`);
      return;
    }
    case "list":
      if (!Array.isArray(value)) problems.push(`${path}: expected list, got &{${JSON.stringify(value)}}`);
      else visitItems(type, value, path, problems);
      return;
    default:
      if (!isFields(value)) problems.push(`${path}: expected map, got &{${JSON.stringify(value)}}`);
      else visitFields(type, value, path, problems);
  }
}

function visitFields(type: TypeRef, value: Fields, path: string, problems: string[]): void {
  for (const [name, item] of Object.entries(value)) {
    const member = memberType(type, name);
    if (member !== undefined) visit(member, item, `${path}.${name}`, problems);
    else if (type.kind === "struct" && !type.open) problems.push(`${path}.${name}: field not declared in schema`);
  }
}

function visitItems(
  type: TypeRef & { kind: "list" },
  items: readonly unknown[],
  path: string,
  problems: string[],
): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    if (type.keys === undefined) {
      visit(type.of, item, `${path}[${index}]`, problems);
      continue;
    }
    const element = itemElement(type.keys, item);
    const named = elementText(element);
    if (seen.has(element)) problems.push(`${path}: duplicate entries for key [${named}]`);
    seen.add(element);
    visit(type.of, item, `${path}[${named}]`, problems);
  }
}

function elementText(element: string): string {
  const content: unknown = JSON.parse(element.slice(2));
  if (!element.startsWith("k:")) return `=${JSON.stringify(content)}`;
  return Object.entries(content as Fields)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(",");
}

function mismatch(scalar: string, value: unknown): string | undefined {
  const got = Array.isArray(value) ? "list" : isFields(value) ? "map" : `${typeof value}`;
  switch (scalar) {
    case "string":
    case "time":
    case "bytes":
      return typeof value === "string" ? undefined : `expected string, got &{${JSON.stringify(value)}}`;
    case "bool":
      return typeof value === "boolean" ? undefined : `expected boolean, got ${got}`;
    case "int32":
    case "int64":
    case "number":
      return typeof value === "number" ? undefined : `expected numeric (int or float), got ${got}`;
    default:
      return undefined;
  }
}
