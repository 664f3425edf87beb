import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { TokenIssuer } from "../../support/token-issuer.ts";

/** An issuer of tokens that tells about itself as OpenFaaS's gateway does. */
export class Discovery implements AsyncDisposable {
  readonly issuer: TokenIssuer;
  readonly #server = createServer((_req, res) => {
    res.end(JSON.stringify({ issuer: this.issuer.issuer, jwks_uri: this.issuer.url }));
  });

  private constructor(issuer: TokenIssuer) {
    this.issuer = issuer;
  }

  static async open(): Promise<Discovery> {
    const discovery = new Discovery(await TokenIssuer.open());
    await discovery.issuer.add("one", "RS256");
    await new Promise<void>((resolve) => discovery.#server.listen(0, "127.0.0.1", resolve));
    return discovery;
  }

  /** Settings of a function `ns:greet` that asks for tokens. */
  get env(): Record<string, string> {
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
    return { jwt_auth: "true", jwt_discovery_url: url, OPENFAAS_NAME: "greet", OPENFAAS_NAMESPACE: "ns" };
  }

  /** A token that opens the function, but for what is said otherwise. */
  token(claims: Readonly<Record<string, unknown>> = {}, kid = "one"): Promise<string> {
    const opens = { aud: this.issuer.issuer, function: { permissions: ["ns:greet"] } };
    return this.issuer.sign(kid, { ...opens, ...claims });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await this.issuer.close();
  }
}
