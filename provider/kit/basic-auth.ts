import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { RequestHandler } from "express";
import { StartError } from "./process.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
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

/** Whether an `Authorization` header carries `credentials`; takes the same time however much of it is right. */
export function isAuthorized(header: string | undefined, credentials: Credentials): boolean {
  const encoded = /^basic +([a-z0-9+/=]+)$/i.exec(header ?? "")?.[1] ?? "";
  const given = Buffer.from(encoded, "base64").toString("utf8");
  return timingSafeEqual(digest(given), digest(`${credentials.user}:${credentials.password}`));
}

/** Lets nobody past without `credentials`; everybody when there are none. Answers as OpenFaaS does. */
export function requireBasicAuth(credentials: Credentials | undefined): RequestHandler {
  return (req, res, next) => {
    if (!credentials || isAuthorized(req.headers.authorization, credentials)) {
      next();
      return;
    }
    res.status(401).set("WWW-Authenticate", 'Basic realm="Restricted"').type("text/plain").send("invalid credentials");
  };
}
