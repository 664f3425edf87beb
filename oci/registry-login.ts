import { z } from "zod";
import { readAtMost } from "./answer-body.ts";
import type { RegistryLogin } from "./docker-config.ts";
import type { HttpSender } from "./http-request.ts";
import { RegistryError, registryErrorOf } from "./registry-error.ts";

/** Of a registry's answer to who is not logged in. */
export type Challenge =
  | { readonly scheme: "basic" }
  | { readonly scheme: "bearer"; readonly realm: URL; readonly service: string | undefined };

const MAX_TOKEN_BYTES = 256 * 1024;
const TIMEOUT_MS = 30_000;
/** When a token's answer does not say. */
const DEFAULT_LIFE_S = 60;
/** A token is not used up to its last moment. */
const SPARE_S = 10;

const tokenAnswer = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
});

/**
 * Reads a `WWW-Authenticate` header.
 * @returns undefined when it asks for nothing that is known
 */
export function parseChallenge(header: string): Challenge | undefined {
  if (/^basic\b/i.test(header)) return { scheme: "basic" };
  if (!/^bearer\s/i.test(header)) return undefined;
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, plain] of header.matchAll(
    /(?<![\w-])([\w-]+)[ \t]{0,8}=[ \t]{0,8}(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g,
  )) {
    parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "");
  }
  const realm = parameters.get("realm") ?? "";
  if (!URL.canParse(realm) || !/^https?:$/.test(new URL(realm).protocol)) return undefined;
  return { scheme: "bearer", realm: new URL(realm), service: parameters.get("service") };
}

interface Token {
  readonly value: string;
  /** By `performance.now()`. */
  readonly usableUntil: number;
}

/** Logs in to one registry, as it asks. */
export class RegistryAuthorizer {
  readonly #login: RegistryLogin | undefined;
  /** Whether tokens, and the login for them, may be asked for without TLS. */
  readonly #insecure: boolean;
  readonly #sender: HttpSender;
  #challenge: Challenge | undefined;
  readonly #tokens = new Map<string, Token>();

  constructor(login: RegistryLogin | undefined, insecure: boolean, sender: HttpSender) {
    this.#sender = sender;
    this.#login = login;
    this.#insecure = insecure;
  }

  /**
   * The header for a request.
   * @param scopes such as `repository:library/node:pull`
   * @returns undefined for as long as the registry has asked for none
   * @throws {RegistryError} when it takes neither the login nor none
   */
  async header(scopes: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (!challenge) return undefined;
    if (challenge.scheme === "basic") return this.#login && basic(this.#login);
    const key = scopes.join(" ");
    const known = this.#tokens.get(key);
    if (known && performance.now() < known.usableUntil) return `Bearer ${known.value}`;
    const token = await this.#fetchToken(challenge, scopes, signal);
    this.#tokens.set(key, token);
    return `Bearer ${token.value}`;
  }

  /**
   * The registry has answered 401. What was used for it is forgotten.
   * @returns whether another try can succeed
   */
  challenged(header: string | undefined, scopes: readonly string[]): boolean {
    const challenge = header === undefined ? undefined : parseChallenge(header);
    if (!challenge) return false;
    this.#tokens.delete(scopes.join(" "));
    this.#challenge = challenge;
    return challenge.scheme === "bearer" || this.#login !== undefined;
  }

  async #fetchToken(
    { realm, service }: Extract<Challenge, { scheme: "bearer" }>,
    scopes: readonly string[],
    signal: AbortSignal,
  ): Promise<Token> {
    const url = new URL(realm);
    if (url.protocol === "http:" && !this.#insecure && this.#login) {
      throw new RegistryError(
        `${url.host}: tokens are to be asked for without TLS, which would send the login in the open`,
        401,
      );
    }
    if (service !== undefined) url.searchParams.set("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    const { statusCode, body } = await this.#sender.send(url, {
      method: "GET",
      headers: this.#login ? { authorization: basic(this.#login) } : {},
      idleMs: TIMEOUT_MS,
      signal,
    });
    const text = (await readAtMost(body, MAX_TOKEN_BYTES, `${url.host}: the token`)).toString();
    if (statusCode !== 200) throw registryErrorOf(`${url.host}: cannot log in`, statusCode, text);
    const { token, access_token = token, expires_in = DEFAULT_LIFE_S } = parseToken(text, url.host);
    if (!access_token) throw new RegistryError(`${url.host}: its answer has no token`, statusCode);
    const lifeMs = Math.max(0, expires_in - SPARE_S) * 1000;
    return { value: access_token, usableUntil: performance.now() + lifeMs };
  }
}

function parseToken(text: string, host: string): z.output<typeof tokenAnswer> {
  try {
    return tokenAnswer.parse(JSON.parse(text));
  } catch {
    throw new RegistryError(`${host}: its answer holds no token`, 200); // what it holds may be one
  }
}

function basic({ username, password }: RegistryLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
