import { type Fields, isFields } from "../types.ts";
import type { Scalar, StructType, TypeRef } from "./notation.ts";

/** A body whose values have the wrong type; the message is the one that the API server's decoder gives. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

export interface Decoded {
  /** Without unknown and empty fields. */
  readonly value: Fields;
  /** Paths of unknown fields, as `spec.template.spec.containers[0].imagee`. */
  readonly unknown: readonly string[];
}

const QUANTITY = /^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Reads a body as the typed decoder does: types are checked, unknown fields are left out and reported, and so is what
 * the encoder would omit (nulls, empty strings, lists and maps).
 * @throws {DecodeError} for the first value of a wrong type
 */
export function decode(type: StructType, body: Fields): Decoded {
  const unknown: string[] = [];
  return { value: decodeStruct(type, body, { path: "", go: "", unknown }), unknown };
}

interface Place {
  /** With indices, as unknown fields are named. */
  readonly path: string;
  /** Without, as type errors name it. */
  readonly go: string;
  readonly unknown: string[];
}

function within(place: Place, field: string): Place {
  const join = (path: string) => (path === "" ? field : `${path}.${field}`);
  return { path: join(place.path), go: join(place.go), unknown: place.unknown };
}

function decodeStruct(type: StructType, value: Fields, place: Place): Fields {
  const result: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(value)) {
    const field = type.field(name);
    if (field === undefined) {
      if (type.open) result[name] = given;
      else place.unknown.push(within(place, name).path);
      continue;
    }
    const decoded = decodeValue(field.type, given, within(place, name), type.name);
    if (decoded !== undefined && !isOmitted(field.type, decoded)) result[name] = decoded;
  }
  return result;
}

/** Structs stay even when they are empty: `emptyDir: {}` says something. */
function isOmitted(type: TypeRef, value: unknown): boolean {
  if (value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return type.kind === "map" && Object.keys(value as Fields).length === 0;
}

function decodeValue(type: TypeRef, value: unknown, place: Place, owner: string): unknown {
  if (value === null || value === undefined) return undefined;
  switch (type.kind) {
    case "scalar":
      return decodeScalar(type.scalar, value, place, owner);
    case "list":
      if (!Array.isArray(value)) throw mismatch(value, place, owner, `[]${goName(type.of)}`);
      return value.map((item: unknown, index) =>
        decodeValue(type.of, item, { ...place, path: `${place.path}[${index}]` }, owner),
      );
    case "map": {
      if (!isFields(value)) throw mismatch(value, place, owner, `map[string]${goName(type.of)}`);
      const entries = Object.entries(value).map(
        ([key, item]) => [key, decodeValue(type.of, item, within(place, key), owner)] as const,
      );
      return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
    }
    case "struct":
      if (!isFields(value)) throw mismatch(value, place, owner, `v1.${type.name}`);
      return decodeStruct(type, value, place);
  }
}

function decodeScalar(scalar: Scalar, value: unknown, place: Place, owner: string): unknown {
  switch (scalar) {
    case "any":
      return value;
    case "string":
      if (typeof value !== "string") throw mismatch(value, place, owner, "string");
      return value;
    case "bool":
      if (typeof value !== "boolean") throw mismatch(value, place, owner, "bool");
      return value;
    case "int32":
    case "int64":
      if (!Number.isInteger(value)) throw mismatch(value, place, owner, scalar);
      if (scalar === "int32" && Math.abs(value as number) > 0x7fffffff) throw mismatch(value, place, owner, scalar);
      return value;
    case "number":
      if (typeof value !== "number") throw mismatch(value, place, owner, "float64");
      return value;
    case "intstr":
      if (typeof value !== "string" && !Number.isInteger(value))
        throw mismatch(value, place, owner, "intstr.IntOrString");
      return value;
    case "quantity":
      if (typeof value === "number") return String(value);
      if (typeof value !== "string" || !QUANTITY.test(value)) {
        throw new DecodeError(
          "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        );
      }
      return value;
    case "time":
      if (typeof value !== "string" || Number.isNaN(Date.parse(value))) {
        throw new DecodeError(
          `parsing time ${JSON.stringify(JSON.stringify(value))} as "2006-01-02T15:04:05Z07:00": cannot parse`,
        );
      }
      return value;
    case "bytes":
      if (typeof value !== "string") throw mismatch(value, place, owner, "[]uint8");
      if (!BASE64.test(value)) {
        throw new DecodeError(`illegal base64 data at input byte ${value.search(/[^A-Za-z0-9+/]/) >>> 0}`);
      }
      return value;
  }
}

function mismatch(value: unknown, place: Place, owner: string, expected: string): DecodeError {
  return new DecodeError(
    `json: cannot unmarshal ${jsonType(value)} into Go struct field ${owner}.${place.go} of type ${expected}`,
  );
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? `number` : `number ${value}`;
  if (typeof value === "boolean") return "bool";
  return typeof value;
}

function goName(type: TypeRef): string {
  return type.kind === "struct" ? `v1.${type.name}` : type.kind === "scalar" ? type.scalar : type.kind;
}
