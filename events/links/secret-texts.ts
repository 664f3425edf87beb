import type { SecretRef } from "../../contract/events/secret-ref.ts";
import type { LoginSettings, TlsSettings } from "../../contract/events/server-settings.ts";

/** Text of a secret. @throws {FaasError} `notFound` */
export type ReadSecret = (name: string, key?: string) => Promise<string>;

/** Shorter ones stand in too many innocent places of a message to be blanked out. */
const LEAST_CHARS = 4;

/** What of TLS is known as texts. */
export interface TlsTexts {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

export interface LoginTexts {
  readonly user?: string;
  readonly password?: string;
}

/** The secrets that one connection needs; it knows which texts must not appear in what is told of the connection. */
export class SecretTexts {
  readonly #read: ReadSecret;
  readonly #texts = new Set<string>();

  constructor(read: ReadSecret) {
    this.#read = read;
  }

  /** @throws {FaasError} `notFound` */
  async text({ secret, key }: SecretRef): Promise<string> {
    // A file's last line ends too, which is no part of a password.
    const text = (await this.#read(secret, key)).replace(/\r?\n$/, "");
    this.#texts.add(text);
    return text;
  }

  async login({ user, password }: LoginSettings): Promise<LoginTexts> {
    return {
      ...(user !== undefined && { user: typeof user === "string" ? user : await this.text(user) }),
      ...(password && { password: await this.text(password) }),
    };
  }

  async tls({ ca, cert, key, serverName }: TlsSettings): Promise<TlsTexts> {
    return {
      ...(ca && { ca: await this.text(ca) }),
      ...(cert && { cert: await this.text(cert) }),
      ...(key && { key: await this.text(key) }),
      ...(serverName !== undefined && { servername: serverName }),
    };
  }

  /** The text without any of the secrets in it. */
  redact(text: string): string {
    let redacted = text;
    for (const secret of this.#texts) {
      if (secret.length >= LEAST_CHARS) redacted = redacted.replaceAll(secret, "***");
    }
    return redacted;
  }
}
