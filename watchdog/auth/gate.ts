import type { IncomingMessage } from "node:http";
import { INTERNAL_HEADER } from "../../http/platform-mark.ts";
import type { TrackedResponse } from "../tracked-response.ts";
import type { AuthConfig } from "./auth-config.ts";
import type { Issuer } from "./issuer.ts";
import { isSigned, judgeClaims, type Refusal, readToken, type UncheckedToken } from "./token.ts";

/** Lets those calls pass whose token allows it. */
export interface Gate {
  /** Whether a call may go on; a promise only when the issuer has to be asked for a new key. */
  judge(req: IncomingMessage): Refusal | undefined | Promise<Refusal | undefined>;
}

export interface GateDeps {
  readonly issuer: Issuer;
  readonly print: (message: string) => void;
  readonly nowSeconds: () => number;
}

/** A call without a token, or with one that is not genuine, does not reach the function. */
export function createGate({ functionId, debug }: AuthConfig, { issuer, print, nowSeconds }: GateDeps): Gate {
  const decide = (token: UncheckedToken): Refusal | undefined => {
    const key = issuer.key(token.kid);
    if (key === undefined) return { status: 401, reason: "token is signed with an unknown key" };
    if (!isSigned(token, key)) return { status: 401, reason: "token has a wrong signature" };
    return judgeClaims(token.claims, { issuer: issuer.name, functionId, nowSeconds: nowSeconds() });
  };
  const finish = (req: IncomingMessage, startedAt: number, refusal: Refusal | undefined): Refusal | undefined => {
    if (refusal === undefined) tellTime(req, (performance.now() - startedAt) / 1000);
    else if (debug) print(`Refused ${req.method} ${req.url}: ${refusal.reason}`);
    return refusal;
  };
  return {
    judge(req) {
      const startedAt = performance.now();
      const [, text] = /^Bearer +(\S+) *$/i.exec(req.headers.authorization ?? "") ?? [];
      if (text === undefined)
        return finish(req, startedAt, { status: 401, reason: "no bearer token in Authorization" });
      const token = readToken(text);
      if (typeof token === "string") return finish(req, startedAt, { status: 401, reason: token });
      if (issuer.key(token.kid) !== undefined) return finish(req, startedAt, decide(token));
      return issuer.refresh().then(() => finish(req, startedAt, decide(token)));
    },
  };
}

const SECONDS_HEADER = "X-Auth-Seconds";

/** Tells the function what the check took; a caller's own header of that name goes. */
function tellTime({ headers, rawHeaders }: IncomingMessage, seconds: number): void {
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if ((rawHeaders[i] as string).toLowerCase() === "x-auth-seconds") rawHeaders.splice(i, 2);
  }
  const value = seconds.toFixed(6);
  rawHeaders.push(SECONDS_HEADER, value);
  headers["x-auth-seconds"] = value;
}

/** Answers in the place of the function. */
export function refuse(res: TrackedResponse, { status, reason }: Refusal): void {
  const body = `${reason}\n`;
  res.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": body.length,
    "X-Content-Type-Options": "nosniff",
    [INTERNAL_HEADER]: "faas-middleware",
    ...(status === 401 && { "WWW-Authenticate": "Bearer realm=IAM function invoke" }),
  });
  res.end(body);
}
