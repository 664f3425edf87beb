import { FaasError } from "../../contract/errors.ts";
import { type AskingRequest, type Called, PolicyError } from "./policy-gate.ts";

/** Longer than any token in use. */
export const MAX_CREDENTIAL_CHARS = 16 * 1024;

/**
 * The one value of a header that carries credentials; undefined when there is none.
 * @param lower its name in lower case
 * @throws {FaasError} `invalid` when there are several, of which a function could read another than was checked
 */
export function readCredential({ rawHeaders }: AskingRequest, lower: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== lower.length || name.toLowerCase() !== lower) continue;
    if (value !== undefined) throw new FaasError("invalid", `${lower}: there must be one`);
    value = (rawHeaders[i + 1] as string).trim();
  }
  return value;
}

/** What follows `scheme` in an `Authorization` header; undefined for another scheme. */
export function afterScheme(value: string, scheme: "basic" | "bearer"): string | undefined {
  const space = value.indexOf(" ");
  return space > 0 && value.slice(0, space).toLowerCase() === scheme ? value.slice(space + 1).trim() : undefined;
}

/** Nobody is let in with that. @param challenge of `WWW-Authenticate`, by which clients know what is wanted */
export function unauthorized({ qualifiedName }: Called, scheme: string, why: string, details = ""): PolicyError {
  const challenge = `${scheme} realm="${qualifiedName}"${details}`;
  return new PolicyError("unauthorized", why, { headers: { "www-authenticate": challenge } });
}
