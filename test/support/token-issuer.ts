import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from "jose";

type Algorithm = "RS256" | "ES256" | "EdDSA";

/** Signs tokens, and tells its public keys at {@link url}. */
export class TokenIssuer {
  readonly issuer = "https://issuer.test/";
  readonly #keys = new Map<string, { alg: Algorithm; privateKey: CryptoKey; jwk: JWK }>();
  /** Requests for the keys so far. */
  asked = 0;
  /** Answers in the place of the keys, while it is set. */
  respond: ((res: ServerResponse) => void) | undefined;
  readonly #server = createServer((_req, res) => {
    this.asked++;
    if (this.respond) this.respond(res);
    else res.setHeader("content-type", "application/json").end(JSON.stringify(this.keys));
  });

  static async open(): Promise<TokenIssuer> {
    const issuer = new TokenIssuer();
    await new Promise<void>((resolve) => issuer.#server.listen(0, "127.0.0.1", resolve));
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/keys`;
  }

  get keys(): { keys: JWK[] } {
    return { keys: [...this.#keys.values()].map(({ jwk }) => jwk) };
  }

  publicKey(kid: string): JWK {
    return this.#keys.get(kid)?.jwk as JWK;
  }

  async add(kid: string, alg: Algorithm): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    this.#keys.set(kid, { alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } });
  }

  forget(kid: string): void {
    this.#keys.delete(kid);
  }

  /** A token that is good for an hour, but for what is said otherwise; undefined leaves a claim out. */
  async sign(
    kid: string,
    claims: Readonly<Record<string, unknown>> = {},
    header: Partial<JWTHeaderParameters> = {},
  ): Promise<string> {
    const { alg, privateKey } = this.#keys.get(kid) as { alg: Algorithm; privateKey: CryptoKey };
    const now = Math.floor(Date.now() / 1000);
    const whole = { iss: this.issuer, aud: "api", sub: "ada", exp: now + 3600, ...claims };
    return await new SignJWT(whole).setProtectedHeader({ alg, kid, ...header }).sign(privateKey);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
