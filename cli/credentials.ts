import { randomUUID } from "node:crypto";
import { mkdir, readFile, realpath, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CliError } from "./errors.ts";
import type { Io } from "./io.ts";
import { isPlatformAt, PLATFORM_FILE } from "./local-platform.ts";
import type { StoredAuth } from "./stack/cli-config.ts";

type Surroundings = Pick<Io, "env" | "home" | "cwd" | "sourceRoot">;

/** Where credentials are kept, in the place and format that other clients of OpenFaaS use. */
export function configFile({ env, home, cwd }: Surroundings): string {
  if (env.OPENFAAS_CONFIG) return resolve(cwd, env.OPENFAAS_CONFIG.replace(/^~(?=\/|$)/, home), "config.yml");
  const ci = env.CI === "true" || env.CI === "1";
  return join(ci ? cwd : home, ".openfaas", "config.yml");
}

/**
 * The `Authorization` header for a gateway: stored basic credentials, else `token`, else a stored token, else, on this
 * machine, the password that the platform which listens there made for itself. Undefined when there is none of these.
 */
export async function findAuthorization(
  url: string,
  token: string | undefined,
  around: Surroundings,
): Promise<string | undefined> {
  const file = configFile(around);
  const text = await readOr(file, "");
  const known = text === "" ? [] : (await readFormat()).parseCliConfig(text, file);
  const stored = known.find(({ gateway }) => gateway === url);
  if (stored?.auth === "basic" && stored.token !== "") return `Basic ${stored.token}`;
  const bearer = token || stored?.token;
  if (bearer) return `Bearer ${bearer}`;
  return isLoopbackUrl(url) ? await findLocalAuthorization(url, around) : undefined;
}

export function basicToken(user: string, password: string): string {
  return Buffer.from(`${user}:${password}`).toString("base64");
}

export async function saveAuth(auth: StoredAuth, around: Surroundings): Promise<void> {
  const file = configFile(around);
  const { withAuth } = await readFormat();
  await replaceFile(file, withAuth(await readOr(file, ""), file, auth));
}

/** Whether there was something to forget. */
export async function forgetAuth(url: string, around: Surroundings): Promise<boolean> {
  const file = configFile(around);
  const { withoutAuth } = await readFormat();
  const text = withoutAuth(await readOr(file, ""), file, url);
  if (text !== undefined) await replaceFile(file, text);
  return text !== undefined;
}

/** The address is on this machine, so nothing is sent over a network. */
export function isLoopbackUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

/** Of the platform that listens at `url`: another program on this machine must not get its password. */
async function findLocalAuthorization(
  url: string,
  { env, cwd, sourceRoot }: Surroundings,
): Promise<string | undefined> {
  const folders = env.data_dir ? [resolve(cwd, env.data_dir)] : [join(cwd, ".faaslane"), join(sourceRoot, ".faaslane")];
  for (const folder of folders) {
    if (!isPlatformAt(url, await readOr(join(folder, PLATFORM_FILE), ""))) continue;
    const user = (await readOr(join(folder, "basic-auth-user"), "")).trim();
    const password = (await readOr(join(folder, "basic-auth-password"), "")).trim();
    if (user !== "" && password !== "") return `Basic ${basicToken(user, password)}`;
  }
  return undefined;
}

/** Loaded when there is something to read: without stored credentials no command needs YAML. */
async function readFormat() {
  return await import("./stack/cli-config.ts");
}

/** Readable by its owner only from the first byte on, and never half written. */
async function replaceFile(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // People keep such files elsewhere and link to them.
  const target = await realpath(file).catch(() => file);
  const fresh = `${target}.${randomUUID()}`;
  await writeFile(fresh, text, { mode: 0o600, flag: "wx" });
  await rename(fresh, target);
}

async function readOr(file: string, fallback: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return fallback;
    throw new CliError(`cannot read ${file}: ${(cause as Error).message}; OPENFAAS_CONFIG names another folder`, {
      cause,
    });
  }
}
