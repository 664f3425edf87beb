import { type Fields, isFields } from "../types.ts";
import type { Scalar, StructField, StructType, TypeLibrary, TypeRef } from "./notation.ts";

/** The type that a CustomResourceDefinition declares for a version, or one that keeps every field when it declares none. */
export function customType(library: TypeLibrary, kind: string, schema: Fields | undefined): StructType {
  const declared = convertObject(library, kind, schema ?? { "x-kubernetes-preserve-unknown-fields": true });
  const own: Readonly<Record<string, StructField>> = {
    apiVersion: { type: { kind: "scalar", scalar: "string" } },
    kind: { type: { kind: "scalar", scalar: "string" } },
    metadata: { type: library.struct("ObjectMeta") },
  };
  return { ...declared, field: (name) => own[name] ?? declared.field(name) };
}

function convert(library: TypeLibrary, name: string, schema: Fields): TypeRef {
  if (schema["x-kubernetes-int-or-string"] === true) return { kind: "scalar", scalar: "intstr" };
  switch (schema.type) {
    case "object":
      if (isFields(schema.additionalProperties)) {
        const of = convert(library, name, schema.additionalProperties);
        return { kind: "map", of, atomic: schema["x-kubernetes-map-type"] === "atomic" };
      }
      return convertObject(library, name, schema);
    case "array": {
      const keys = schema["x-kubernetes-list-map-keys"] as readonly string[] | undefined;
      return {
        kind: "list",
        of: convert(library, name, isFields(schema.items) ? schema.items : {}),
        keys: schema["x-kubernetes-list-type"] === "set" ? "set" : keys,
        mergeKey: undefined, // there is no strategic merge patch for custom resources
      };
    }
    case "integer":
      return scalar("int64");
    case "number":
      return scalar("number");
    case "boolean":
      return scalar("bool");
    case "string":
      return Array.isArray(schema.enum)
        ? { kind: "scalar", scalar: "string", choices: schema.enum as string[] }
        : scalar("string");
    default:
      return scalar("any");
  }
}

function scalar(name: Scalar): TypeRef {
  return { kind: "scalar", scalar: name };
}

function convertObject(library: TypeLibrary, name: string, schema: Fields): StructType {
  const properties = isFields(schema.properties) ? schema.properties : {};
  const fields = new Map<string, StructField>();
  const fallbacks: [string, unknown][] = [];
  for (const [field, declared] of Object.entries(properties)) {
    if (!isFields(declared)) continue;
    const type = convert(library, `${name}.${field}`, declared);
    fields.set(field, { type });
    if ("default" in declared) fallbacks.push([field, declared.default]);
  }
  return {
    kind: "struct",
    name,
    atomic: schema["x-kubernetes-map-type"] === "atomic",
    open: schema["x-kubernetes-preserve-unknown-fields"] === true,
    required: Array.isArray(schema.required) ? (schema.required as string[]) : [],
    fallbacks,
    field: (field) => fields.get(field),
  };
}
