import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import { ApiError, badRequest } from "../status.ts";
import { type Fields, isFields } from "../types.ts";

/** As etcd would refuse more. */
const LIMIT_BYTES = 3 * 1024 * 1024;

/**
 * The body as a value, whether it is JSON or YAML; undefined when there is none.
 * @throws {ApiError} when it is too large, of another type, or malformed
 */
export async function readBody(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req) {
    size += (chunk as Buffer).length;
    if (size > LIMIT_BYTES) throw new ApiError(413, "RequestEntityTooLarge", `limit is ${LIMIT_BYTES}`);
    chunks.push(chunk as Buffer);
  }
  if (size === 0) return undefined;
  const text = Buffer.concat(chunks).toString("utf8");
  const type = contentTypeOf(req);
  const isYaml = /[/+]yaml$/.test(type);
  if (type !== "" && !isYaml && !/[/+]json$/.test(type)) throw unsupportedType(type);
  try {
    return isYaml ? parse(text) : (JSON.parse(text) as unknown);
  } catch (error) {
    throw badRequest(`error decoding the body: ${(error as Error).message}`);
  }
}

export function contentTypeOf(req: IncomingMessage): string {
  return (req.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

export function unsupportedType(type: string, accepted?: readonly string[]): ApiError {
  const listed = accepted ?? ["application/json", "application/yaml"];
  const message = `the body of the request was in an unknown format - accepted media types include: ${listed.join(", ")}`;
  return new ApiError(415, "UnsupportedMediaType", `${message} (not ${type})`);
}

/** @throws {ApiError} bad request for anything else */
export function requireFields(body: unknown): Fields {
  if (!isFields(body)) throw badRequest("the body must be an object");
  return body;
}
