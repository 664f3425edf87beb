import { createHmac, type Hmac } from "node:crypto";

export const SIGNATURE_HEADER = "X-Faaslane-Signature";

/** Signs callbacks, so that receivers know whom they are from. */
export class CallbackSigner {
  readonly #secrets: readonly string[];

  /**
   * @param secrets each gives a signature; two while receivers change from one to the next
   * @throws when there is none, or an empty one
   */
  constructor(secrets: readonly string[]) {
    if (secrets.length === 0 || secrets.includes("")) throw new Error("a signing secret must not be empty");
    this.#secrets = secrets;
  }

  /** @param now milliseconds since the epoch */
  begin(now: number): Signing {
    return new Signing(this.#secrets, Math.floor(now / 1000));
  }
}

/** A signature in the making. */
class Signing {
  readonly #seconds: number;
  readonly #hmacs: readonly Hmac[];

  constructor(secrets: readonly string[], seconds: number) {
    this.#seconds = seconds;
    this.#hmacs = secrets.map((secret) => createHmac("sha256", secret).update(`${seconds}.`));
  }

  /** Takes the next piece of the body. */
  add(piece: Uint8Array): this {
    for (const hmac of this.#hmacs) hmac.update(piece);
    return this;
  }

  /**
   * Ends it.
   * @returns value of {@link SIGNATURE_HEADER}: `t=<seconds>`, then a `v1=<hex>` per secret, which is the HMAC-SHA256 of
   *   the seconds, a dot and the body
   */
  finish(): string {
    return [`t=${this.#seconds}`, ...this.#hmacs.map((hmac) => `v1=${hmac.digest("hex")}`)].join(",");
  }
}

export type { Signing };
