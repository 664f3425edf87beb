import type { AuthConfig } from "./auth-config.ts";
import { fetchJson } from "./fetch-json.ts";
import { createGate, type Gate } from "./gate.ts";
import { openIssuer } from "./issuer.ts";

/**
 * Asks the issuer for its keys, so that a call need not wait for them.
 * @throws when it does not tell
 */
export async function openGate(config: AuthConfig, print: (message: string) => void): Promise<Gate> {
  const issuer = await openIssuer(config.discoveryUrl, { fetchJson, print, now: () => performance.now() });
  return createGate(config, { issuer, print, nowSeconds: () => Date.now() / 1000 });
}
