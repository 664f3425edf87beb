import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "../../kit/process.ts";
import type { NatsCredentials } from "../nats/credentials.ts";

/**
 * Reads `nats-user`, `nats-password`, `nats-token` and `nats-creds` below `folder`, as far as they are there.
 * @throws {StartError} for a file that cannot be read or is empty, and for a user without a password
 */
export async function readNatsCredentials(folder: string): Promise<NatsCredentials> {
  return readNatsFiles(folder);
}

function readNatsFiles(folder: string): NatsCredentials {
  const user = readSecret(folder, "nats-user");
  const password = readSecret(folder, "nats-password");
  const token = readSecret(folder, "nats-token");
  const creds = readSecret(folder, "nats-creds");
  if ((user === undefined) !== (password === undefined)) {
    throw new StartError(`secret_mount_path: ${folder} needs both nats-user and nats-password`);
  }
  return {
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(token !== undefined && { token }),
    ...(creds !== undefined && { creds: Buffer.from(creds) }),
  };
}

/**
 * As {@link readNatsCredentials}, and says at any time later what they are by then. Files that cannot be read then, or
 * are not whole, leave what was known.
 */
export function followNatsCredentials(folder: string): NatsCredentials & { readonly renew?: () => NatsCredentials } {
  const first = readNatsFiles(folder);
  if (Object.keys(first).length === 0) return first;
  let known = first;
  const renew = () => {
    try {
      const read = readNatsFiles(folder);
      if (Object.keys(read).length > 0) known = read;
    } catch {
      // Being replaced: the server is asked again soon, and says so when they are wrong.
    }
    return known;
  };
  return { ...first, renew };
}

/**
 * Reads `callback-signing-secret` below `folder`: one secret a line, each of which signs.
 * @throws {StartError} when it cannot be read or is empty
 */
export async function readSigningSecrets(folder: string): Promise<readonly string[]> {
  const text = readSecret(folder, "callback-signing-secret");
  return (text ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/** Trimmed; undefined when there is no such file. */
function readSecret(folder: string, name: string): string | undefined {
  const path = join(folder, name);
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new StartError(`secret_mount_path: cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  if (text === "") throw new StartError(`secret_mount_path: ${path} is empty`);
  return text;
}
