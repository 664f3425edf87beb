import type { AuthPolicy } from "../../contract/policies/auth-policy.ts";

/** Who a caller is, as far as that was verified. */
export interface Identity {
  readonly kind: AuthPolicy["kind"];
  /** User, name of the key, or `sub`; absent for those that have none. */
  readonly subject?: string;
  /** The claims of its token, as the token has them: JSON in base64url. */
  readonly claims?: string;
  /** Header of the credentials, in lower case, when the function is not to get it. */
  readonly consumed?: string;
}

/** Who calls, as the gateway has verified it. Nobody else's word reaches a function under these names. */
const AUTH = "X-Faaslane-Auth";
export const SUBJECT = "X-Faaslane-Subject";
const CLAIMS = "X-Faaslane-Claims";

/** Set by a queue worker of the platform; see `delivery-proof.ts`. */
export const DELIVERY = "x-faaslane-delivery";

/** With `_` too: programs that get headers as variables cannot tell the two apart. */
const OURS = /^x[-_]faaslane[-_](auth|subject|claims|delivery)$/;
const SHORTEST = "x-faaslane-auth".length;

/** Whether a header is one of those that only the gateway sets. @param lower its name in lower case */
export function isIdentityHeader(lower: string): boolean {
  return lower.length >= SHORTEST && lower.charCodeAt(0) === 0x78 && OURS.test(lower);
}

/** Spaces at its ends would be lost on the way, and with them the difference between two names. */
const SENDABLE = /^[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?$/;
const MAX_CLAIMS_CHARS = 16 * 1024;

/**
 * Takes the credentials away where the function is not to get them, and adds who was verified.
 * @param headers names and values in turn
 */
export function tellIdentity(headers: readonly string[], { kind, subject, claims, consumed }: Identity): string[] {
  const told: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (consumed === undefined || name.toLowerCase() !== consumed) told.push(name, headers[i + 1] as string);
  }
  told.push(AUTH, kind);
  if (subject !== undefined && SENDABLE.test(subject)) told.push(SUBJECT, subject);
  if (claims !== undefined && claims.length <= MAX_CLAIMS_CHARS) told.push(CLAIMS, claims);
  return told;
}
