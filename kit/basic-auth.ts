import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import type { RequestHandler } from "express";
import { ERROR_HEADER } from "../contract/error-codes.ts";
import { FaasError } from "../contract/errors.ts";
import { clientOf } from "../http/client-address.ts";
import type { LoginAttempts } from "./login-attempts.ts";
import { StartError } from "./process.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
  /** Those that these have taken the place of, for as long as they are taken all the same. */
  readonly expiring?: Credentials | undefined;
}

/**
 * Reads `basic-auth-user` and `basic-auth-password` below `folder`, trimmed.
 * @throws when one cannot be read; {StartError} when one is empty, which would let everybody in
 */
export async function readCredentials(folder: string): Promise<Credentials> {
  const read = async (file: string) => {
    const text = (await readFile(join(folder, file), "utf8")).trim();
    if (text === "") throw new StartError(`secret_mount_path: ${join(folder, file)} is empty`);
    return text;
  };
  return { user: await read("basic-auth-user"), password: await read("basic-auth-password") };
}

/** The `Authorization` header that carries `credentials`. */
export function basicAuthHeader({ user, password }: Credentials): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Far above any password that is in use; what is longer is wrong without a look. */
const MAX_HEADER_CHARS = 8 * 1024;

/** Whether an `Authorization` header carries `credentials`; takes the same time however much of it is right. */
export function isAuthorized(header: string | undefined, credentials: Credentials): boolean {
  const given = header !== undefined && header.length <= MAX_HEADER_CHARS ? header : "";
  const encoded = /^basic +([a-z0-9+/=]+)$/i.exec(given)?.[1] ?? "";
  const decoded = Buffer.from(encoded, "base64").toString("utf8");
  const sent = digest(decoded);
  const isIt = ({ user, password }: Credentials) => timingSafeEqual(sent, digest(`${user}:${password}`));
  const { expiring } = credentials;
  return isIt(credentials) || (expiring !== undefined && isIt(expiring));
}

type Asking = Pick<IncomingMessage, "headers" | "socket">;

/**
 * Whether a request carries `credentials`; anybody does when there are none.
 * @throws {FaasError} `overloaded` for a wrong password after many others from the same address
 */
export function checkLogin(asking: Asking, credentials: Credentials | undefined, attempts: LoginAttempts): boolean {
  const { authorization } = asking.headers;
  if (!credentials || isAuthorized(authorization, credentials)) return true;
  // Who brings none has not guessed: a browser asks first, to learn that it must.
  const pauseMs = authorization ? attempts.fail(clientOf(asking)) : 0;
  if (pauseMs > 0) throw new TooManyLogins(Math.ceil(pauseMs / 1000));
  return false;
}

class TooManyLogins extends FaasError {
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number) {
    super("overloaded", `too many wrong passwords; try again in ${retryAfterSeconds} s`, { code: "too_many_logins" });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Lets nobody past without `credentials`; everybody when there are none. Answers as OpenFaaS does. */
export function requireBasicAuth(credentials: Credentials | undefined, attempts: LoginAttempts): RequestHandler {
  return (req, res, next) => {
    try {
      if (checkLogin(req, credentials, attempts)) {
        next();
        return;
      }
    } catch (error) {
      if (error instanceof TooManyLogins) res.set("Retry-After", String(error.retryAfterSeconds));
      throw error;
    }
    res.setHeader(ERROR_HEADER, "unauthorized");
    res.status(401).set("WWW-Authenticate", 'Basic realm="Restricted"').type("text/plain").send("invalid credentials");
  };
}
