import { isDeepStrictEqual } from "node:util";
import { ApiError, badRequest } from "../status.ts";
import { isFields } from "../types.ts";

type Parent = Record<string, unknown> | unknown[];

/**
 * Applies a JSON patch. @see RFC 6902
 * @throws {ApiError} 400 for a malformed patch, 422 for one that does not fit the object
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch");
  const box: { root: unknown } = { root: copy(target) };
  for (const operation of patch as unknown[]) {
    if (!isFields(operation)) throw badRequest("a JSON patch is a list of operations");
    apply(box as { root: Parent }, operation);
  }
  return box.root;
}

function apply(box: { root: Parent }, { op, path, from, value }: Readonly<Record<string, unknown>>): void {
  if (typeof path !== "string") throw badRequest("missing value for path");
  switch (op) {
    case "add":
      add(box, path, value);
      return;
    case "remove":
      remove(box, path);
      return;
    case "replace":
      read(box, path);
      if (path !== "" && Array.isArray(parentOf(box, path).parent)) remove(box, path);
      add(box, path, value);
      return;
    case "move":
      add(box, path, remove(box, String(from)));
      return;
    case "copy":
      add(box, path, copy(read(box, String(from))));
      return;
    case "test":
      if (!isDeepStrictEqual(read(box, path), value)) throw unfit(`testing value ${path} failed`);
      return;
    default:
      throw badRequest(`Unexpected kind: ${String(op)}`);
  }
}

/** Bodies are JSON, and so are their copies. */
function copy(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function unfit(message: string): ApiError {
  return new ApiError(422, "Invalid", `the server rejected our request due to an error in our request: ${message}`, {});
}

function parentOf(box: { root: Parent }, path: string): { parent: Parent; key: string } {
  const steps = path.split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (path === "") return { parent: box as unknown as Record<string, unknown>, key: "root" };
  if (steps.shift() !== "") throw badRequest(`${path} is not a JSON pointer`);
  const key = steps.pop() as string;
  let parent: unknown = box.root;
  for (const step of steps) {
    parent = Array.isArray(parent) ? parent[Number(step)] : isFields(parent) ? parent[step] : undefined;
  }
  if (!Array.isArray(parent) && !isFields(parent)) throw unfit(`${path}: missing path`);
  return { parent: parent as Parent, key };
}

function read(box: { root: Parent }, path: string): unknown {
  const { parent, key } = parentOf(box, path);
  const present = Array.isArray(parent) ? parent[Number(key)] !== undefined : Object.hasOwn(parent, key);
  if (!present) throw unfit(`${path}: missing value`);
  return (parent as Record<string, unknown>)[key];
}

function add(box: { root: Parent }, path: string, value: unknown): void {
  const { parent, key } = parentOf(box, path);
  if (!Array.isArray(parent)) {
    parent[key] = value;
    return;
  }
  const index = key === "-" ? parent.length : Number(key);
  if (!Number.isInteger(index) || index < 0 || index > parent.length) throw unfit(`${path}: index out of bounds`);
  parent.splice(index, 0, value);
}

function remove(box: { root: Parent }, path: string): unknown {
  const value = read(box, path);
  const { parent, key } = parentOf(box, path);
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}
