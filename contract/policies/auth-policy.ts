import { isHopByHop } from "../../http/forwarding.ts";
import { isDnsSubdomain } from "../names.ts";
import { type PolicySettings, parseList, parseToken } from "./policy-settings.ts";

/** How callers of a function prove who they are. Secrets are named, in the function's namespace. */
export type AuthPolicy = BasicPolicy | KeyPolicy | JwtPolicy | HmacPolicy;

interface Forwarding {
  /** Whether the function gets the credentials as they came. */
  readonly forward: boolean;
}

export interface BasicPolicy extends Forwarding {
  readonly kind: "basic";
  readonly secret: string;
}

export interface KeyPolicy extends Forwarding {
  readonly kind: "key";
  readonly secret: string;
  /** In lower case. */
  readonly header: string;
}

export const JWT_ALGORITHMS = ["RS256", "ES256", "EdDSA", "HS256"] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

export interface JwtPolicy extends Forwarding {
  readonly kind: "jwt";
  readonly issuer: string;
  /** One of them must be among those of the token. */
  readonly audiences: readonly string[];
  /** Either `HS256` alone or none but signatures with a public key: a public key must never be taken for a shared one. */
  readonly algorithms: readonly JwtAlgorithm[];
  readonly keys: { readonly kind: "secret"; readonly name: string } | { readonly kind: "url"; readonly url: string };
  readonly header: string;
  /** Difference of clocks that is put up with, in milliseconds. */
  readonly skewMs: number;
}

export interface HmacPolicy {
  readonly kind: "hmac";
  readonly secret: string;
  /** `body`: `sha256=<hex>` of the body. `timestamped`: `t=<seconds>,v1=<hex>` of the seconds, a dot and the body. */
  readonly format: "body" | "timestamped";
  readonly header: string;
  /** Age of a timestamp that is taken, in milliseconds. */
  readonly toleranceMs: number;
}

export const AUTH = "com.faaslane.auth";
const KINDS = ["none", "basic", "key", "jwt", "hmac"] as const;
type Kind = (typeof KINDS)[number];

const setting = (name: string) => `${AUTH}.${name}`;

/** Which settings mean something to which kind. */
const SETTINGS: Readonly<Record<Exclude<Kind, "none">, readonly string[]>> = {
  basic: ["secret", "forward"],
  key: ["secret", "header", "forward"],
  jwt: ["secret", "jwks-url", "issuer", "audience", "algorithms", "header", "skew", "forward"],
  hmac: ["secret", "format", "header", "tolerance"],
};
export const AUTH_SETTINGS: readonly string[] = [...new Set(Object.values(SETTINGS).flat())].map(setting);

const MAX_TEXT = 2000;
/** Headers that a message does not work without, or that name somebody else. */
const NOT_FOR_CREDENTIALS = new Set(["host", "content-length", "content-type", "content-encoding", "expect", "origin"]);

/** @returns undefined when it is not set, is `none`, or is wrong */
export function readAuthPolicy(read: PolicySettings): AuthPolicy | undefined {
  const kind = read.read(AUTH, `must be one of ${KINDS.join(", ")}`, (text) => KINDS.find((known) => known === text));
  if (kind === undefined) {
    const orphan = AUTH_SETTINGS.find((name) => read.text(name) !== undefined);
    if (orphan !== undefined && read.text(AUTH) === undefined) read.refuse(orphan, `means nothing without ${AUTH}`);
    return undefined;
  }
  if (kind === "none") return undefined;
  const allowed = new Set(SETTINGS[kind].map(setting));
  for (const name of AUTH_SETTINGS) {
    if (read.text(name) !== undefined && !allowed.has(name)) read.refuse(name, `is not for ${AUTH}: ${kind}`);
  }
  if (kind === "jwt") return readJwt(read);
  const secret = read.required(setting("secret"), SECRET_RULE, parseSecretName) ?? "";
  if (kind === "basic") return { kind, secret, forward: read.boolean(setting("forward")) };
  if (kind === "key") {
    return { kind, secret, header: readHeader(read) ?? "x-api-key", forward: read.boolean(setting("forward")) };
  }
  const formats = ["body", "timestamped"] as const;
  const format =
    read.read(setting("format"), `must be one of ${formats.join(", ")}`, (text) =>
      formats.find((known) => known === text),
    ) ?? "body";
  return {
    kind,
    secret,
    format,
    header: readHeader(read) ?? (format === "body" ? "x-hub-signature-256" : "x-faaslane-signature"),
    toleranceMs: read.duration(setting("tolerance"), "1h") ?? 5 * 60_000,
  };
}

const SECRET_RULE = "must be the name of a secret: lower-case letters, digits, - and .";

function parseSecretName(text: string): string | undefined {
  return isDnsSubdomain(text) ? text : undefined;
}

function readHeader(read: PolicySettings): string | undefined {
  return read.read(setting("header"), "must be the name of a header that may hold credentials", (text) => {
    const lower = parseToken(text)?.toLowerCase();
    return lower === undefined || isHopByHop(lower) || NOT_FOR_CREDENTIALS.has(lower) ? undefined : lower;
  });
}

function readJwt(read: PolicySettings): JwtPolicy {
  const secret = read.read(setting("secret"), SECRET_RULE, parseSecretName);
  const url = read.read(setting("jwks-url"), "must be an http or https URL without user and fragment", parseKeysUrl);
  const given = ["secret", "jwks-url"].filter((name) => read.text(setting(name)) !== undefined);
  if (given.length !== 1) {
    read.problems.push(
      `annotations.${AUTH}: jwt needs ${setting("jwks-url")} or ${setting("secret")}, and not both of them`,
    );
  }
  const algorithms = read.read(
    setting("algorithms"),
    `must be some of ${JWT_ALGORITHMS.join(", ")}, separated by commas, and HS256 only alone`,
    parseAlgorithms,
  ) ?? ["RS256", "ES256", "EdDSA"];
  if (algorithms.includes("HS256") && url !== undefined) {
    read.refuse(setting("algorithms"), `is for a shared secret, and the keys of ${setting("jwks-url")} are public`);
  }
  return {
    kind: "jwt",
    issuer: read.required(setting("issuer"), "must be what tokens have as iss", parseText) ?? "",
    audiences:
      read.required(setting("audience"), "must be what tokens have as aud; several are separated by commas", (text) =>
        parseList(text, 20, parseText),
      ) ?? [],
    algorithms,
    keys: url === undefined ? { kind: "secret", name: secret ?? "" } : { kind: "url", url },
    header: readHeader(read) ?? "authorization",
    skewMs: read.duration(setting("skew"), "5m") ?? 30_000,
    forward: read.boolean(setting("forward")),
  };
}

function parseText(text: string): string | undefined {
  return text !== "" && text.length <= MAX_TEXT ? text : undefined;
}

function parseAlgorithms(text: string): JwtAlgorithm[] | undefined {
  const list = parseList(text, JWT_ALGORITHMS.length, (item) => JWT_ALGORITHMS.find((known) => known === item));
  return list && (list.length === 1 || !list.includes("HS256")) ? list : undefined;
}

function parseKeysUrl(text: string): string | undefined {
  const url = text.length <= MAX_TEXT && URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") return undefined;
  return url.username === "" && url.password === "" && url.hash === "" ? url.href : undefined;
}
