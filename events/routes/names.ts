import type { Request } from "express";
import { FaasError } from "../../contract/errors.ts";
import { isDnsLabel } from "../../contract/names.ts";
import { queryText } from "../../kit/respond.ts";

/** Longer than any name; what is quoted of one that is none. */
const MAX_QUOTED_CHARS = 80;

/** `?namespace=`, or the default one. @throws {FaasError} `invalid` */
export function readAskedNamespace(req: Request, defaultNamespace: string): string {
  const namespace = queryText(req, "namespace") ?? defaultNamespace;
  if (!isDnsLabel(namespace)) throw wrong("namespace", namespace);
  return namespace;
}

/** The name in the path. @throws {FaasError} `invalid` */
export function readResourceName(req: Request): string {
  const { name } = req.params;
  if (typeof name !== "string" || !isDnsLabel(name)) throw wrong("name", String(name));
  return name;
}

/** `?force=true` @throws {FaasError} `invalid` */
export function readForce(req: Request): boolean {
  const text = queryText(req, "force") ?? "false";
  if (text !== "true" && text !== "false") throw new FaasError("invalid", "force: must be true or false");
  return text === "true";
}

function wrong(field: string, text: string): FaasError {
  const quoted = JSON.stringify(text.slice(0, MAX_QUOTED_CHARS));
  return new FaasError(
    "invalid",
    `${field}: ${quoted} must be at most 63 of a-z, 0-9 and -, which neither begins nor ends it`,
  );
}
