import type { Problems } from "../problems.ts";
import type { StructType, TypeRef } from "../schema/notation.ts";
import { type Fields, isFields } from "../types.ts";

/** What the declared types alone ask of a decoded object: required fields, choices, distinct keys of lists. */
export function validateShape(type: StructType, value: Fields, path: string, problems: Problems): void {
  for (const name of type.required) {
    // A slice without endpoints is sound, and only its encoding is required to name them.
    const optional = path === "" && (name === "metadata" || name === "endpoints");
    if (value[name] === undefined && !optional) problems.required(join(path, name));
  }
  for (const [name, item] of Object.entries(value)) {
    const field = type.field(name);
    if (field === undefined || (path === "" && (name === "metadata" || name === "status"))) continue;
    validateValue(field.type, item, join(path, name), problems);
  }
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function validateValue(type: TypeRef, value: unknown, path: string, problems: Problems): void {
  switch (type.kind) {
    case "scalar":
      if (type.choices !== undefined && !type.choices.includes(value as string)) {
        problems.unsupported(path, value, [...type.choices].sort());
      }
      return;
    case "struct":
      validateShape(type, value as Fields, path, problems);
      return;
    case "map":
      for (const [key, item] of Object.entries(value as Fields))
        validateValue(type.of, item, `${path}[${key}]`, problems);
      return;
    case "list": {
      const seen = new Set<string>();
      for (const [index, item] of (value as readonly unknown[]).entries()) {
        const place = `${path}[${index}]`;
        validateValue(type.of, item, place, problems);
        // Ports may repeat under another name, and the server lets equal environment names pass too.
        if (type.keys === undefined || type.keys === "set" || !isFields(item) || /\.(env|ports)$/.test(path)) continue;
        const key = JSON.stringify(type.keys.map((name) => item[name]));
        if (seen.has(key)) problems.duplicate(`${place}.${type.keys[0]}`, item[type.keys[0] as string]);
        seen.add(key);
      }
    }
  }
}
