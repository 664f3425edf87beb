import { createHash, hash } from "node:crypto";

/** A request as far as an idempotency key stands for it. */
export interface KeyedRequest {
  readonly method: string;
  readonly function: string;
  readonly namespace: string;
  readonly path: string;
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly batch?: { readonly kind: string };
}

/** Digest of a body that comes piece by piece. */
export class BodyDigest {
  readonly #hash = createHash("sha256");

  add(piece: Uint8Array): void {
    this.#hash.update(piece);
  }

  /** To be called once. */
  finish(): string {
    return this.#hash.digest("base64url");
  }
}

/** How the gateway says whom it has verified; callers cannot. */
const VERIFIED: ReadonlySet<string> = new Set(["x-faaslane-auth", "x-faaslane-subject"]);

/**
 * What tells one request from another: method, function, path, query, whether it is a batch, who sent it (`Authorization`,
 * or who was verified) and its body. One key with another print is another request.
 * @param bodyDigest as {@link BodyDigest} makes it
 */
export function fingerprintRequest(request: KeyedRequest, bodyDigest: string): string {
  const { method, function: name, namespace, path, query, headers, batch } = request;
  const sender = headers.flatMap(([header, value]) => {
    const lower = header.toLowerCase();
    if (lower === "authorization") return [value];
    return VERIFIED.has(lower) ? [`${lower}: ${value}`] : [];
  });
  const facts = [method, name, namespace, path, query, batch?.kind === "whole", sender, bodyDigest];
  return hash("sha256", JSON.stringify(facts), "base64url");
}

/** {@link fingerprintRequest} for a body that is there already. */
export function fingerprintWithBody(request: KeyedRequest & { readonly body: Uint8Array }): string {
  const digest = new BodyDigest();
  digest.add(request.body);
  return fingerprintRequest(request, digest.finish());
}
