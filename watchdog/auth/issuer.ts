import type { JsonWebKey } from "node:crypto";
import type { TokenKey } from "./token.ts";

/** Who signs tokens, and with which keys. */
export interface Issuer {
  readonly name: string;
  /** A key by its name, as far as it is known. */
  key(kid: string): TokenKey | undefined;
  /** Looks for new keys, unless that was done a moment ago. Never rejects. */
  refresh(): Promise<void>;
}

export interface IssuerDeps {
  /** @throws when there is no such document */
  readonly fetchJson: (url: string) => Promise<unknown>;
  readonly print: (message: string) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** Tokens with invented key names must not make us ask for each. */
const BETWEEN_REFRESHES_MS = 30_000;

/**
 * Asks an issuer for its name and keys.
 * @throws when it does not tell
 */
export async function openIssuer(discoveryUrl: string, { fetchJson, print, now }: IssuerDeps): Promise<Issuer> {
  const about = (await fetchJson(discoveryUrl)) as { readonly issuer?: unknown; readonly jwks_uri?: unknown } | null;
  const { issuer: name, jwks_uri: keysUrl } = about ?? {};
  if (typeof name !== "string" || typeof keysUrl !== "string") {
    throw new Error(`${discoveryUrl} names no issuer and jwks_uri`);
  }
  let keys = readKeys(await fetchJson(keysUrl), print);
  if (keys.size === 0) throw new Error(`${keysUrl} has no key that can be used`);
  let refreshedAt = now();
  let refreshing: Promise<void> | undefined;
  return {
    name,
    key: (kid) => keys.get(kid),
    refresh() {
      if (refreshing === undefined && now() - refreshedAt < BETWEEN_REFRESHES_MS) return Promise.resolve();
      refreshing ??= fetchJson(keysUrl)
        .then((document) => {
          keys = readKeys(document, print);
        })
        .catch((error: Error) => print(`Asking for the keys of tokens: ${error.message}`)) // the old ones stay good
        .finally(() => {
          refreshedAt = now();
          refreshing = undefined;
        });
      return refreshing;
    },
  };
}

/** The keys of a JWKS by their names; those that Node does not know, and those that are not for signatures, are left out. */
function readKeys(document: unknown, print: (message: string) => void): Map<string, TokenKey> {
  const { createPublicKey } = process.getBuiltinModule("node:crypto");
  const { keys } = (document ?? {}) as { readonly keys?: unknown };
  const usable = new Map<string, TokenKey>();
  for (const jwk of Array.isArray(keys) ? (keys as JsonWebKey[]) : []) {
    const { kid, use, alg } = jwk ?? {};
    if (typeof kid !== "string" || (use !== undefined && use !== "sig")) continue;
    try {
      usable.set(kid, {
        key: createPublicKey({ key: jwk, format: "jwk" }),
        alg: typeof alg === "string" ? alg : undefined,
      });
    } catch (error) {
      print(`Key ${kid} of tokens cannot be used: ${(error as Error).message}`);
    }
  }
  return usable;
}
