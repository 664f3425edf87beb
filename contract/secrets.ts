import { z } from "zod";
import { decode, maybe } from "./decode.ts";
import { FaasError } from "./errors.ts";
import { isDnsSubdomain } from "./names.ts";

const secretRequest = z.object({
  name: z.string(),
  namespace: maybe(z.string()),
  value: maybe(z.string()),
  rawValue: maybe(z.base64()),
});
/** A secret as requests carry it. `rawValue` (base64) wins over `value` (text) when it is not empty. */
export type SecretRequest = z.output<typeof secretRequest>;

/**
 * Decodes and checks the name: a DNS subdomain of at most 253 characters, so it can never leave its folder.
 * @throws {FaasError} `invalid` for a wrong type or no name, `unprocessable` for a name that breaks the rule
 */
export function decodeSecretRequest(value: unknown): SecretRequest {
  const secret = decode(secretRequest, value, "secret");
  if (secret.name === "") throw new FaasError("invalid", "secret: name: is required");
  if (!isDnsSubdomain(secret.name)) {
    throw new FaasError("unprocessable", `secret: name: (${secret.name}) is invalid, must be a DNS subdomain`);
  }
  return secret;
}

/** The bytes that a function will read. */
export function secretBytes({ value, rawValue }: SecretRequest): Buffer {
  return rawValue ? Buffer.from(rawValue, "base64") : Buffer.from(value ?? "", "utf8");
}

/** Functions named in a message; the rest are counted. */
const MAX_NAMED = 10;

/** Why a secret cannot be removed that functions use. @param users their names, one at least */
export function secretInUse({ name }: SecretName, users: readonly string[]): FaasError {
  const named = [...users].sort().slice(0, MAX_NAMED).join(", ");
  const more = users.length > MAX_NAMED ? ` and ${users.length - MAX_NAMED} more` : "";
  const what = users.length === 1 ? "function" : "functions";
  return new FaasError(
    "conflict",
    `secret ${name} is in use by the ${what} ${named}${more}; force removes it all the same`,
  );
}

const secretList = z.array(z.object({ name: z.string(), namespace: maybe(z.string()) }));
/** A secret as lists show it: never its value. */
export interface SecretName {
  readonly name: string;
  readonly namespace: string;
}

/** @throws {FaasError} `invalid` */
export function decodeSecretList(value: unknown): z.output<typeof secretList> {
  return decode(secretList, value, "secret list");
}
