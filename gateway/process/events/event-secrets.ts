import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import { isDnsSubdomain } from "../../../contract/names.ts";

/** Reads a secret of a namespace, or one of its keys. @throws {FaasError} `notFound` */
export type ReadEventSecret = (namespace: string, name: string, key?: string) => Promise<string>;

const MAX_BYTES = 64 * 1024;
const KEY = /^(?!\.\.)[-._a-zA-Z0-9]{1,253}$/;

/** @param folder of `<namespace>/<name>`: a file, or a folder of keys */
export function eventSecrets(folder: string): ReadEventSecret {
  return async (namespace, name, key) => {
    const missing = (cause?: unknown) => {
      const which = key === undefined ? `secret ${name}` : `key ${key} of secret ${name}`;
      return new FaasError("notFound", `there is no ${which} in namespace ${namespace}`, { cause });
    };
    if (!isDnsSubdomain(namespace) || !isDnsSubdomain(name) || (key !== undefined && !KEY.test(key))) throw missing();
    try {
      const path = join(folder, namespace, name);
      const isFolder = (await stat(path)).isDirectory();
      // A secret of one value has no other keys than its name.
      if (!isFolder && key !== undefined && key !== name) throw missing();
      return await readText(isFolder ? join(path, key ?? name) : path);
    } catch (cause) {
      throw cause instanceof FaasError ? cause : missing(withoutPath(cause as NodeJS.ErrnoException));
    }
  };
}

/** Statuses tell it to people who need not know the machine's folders. */
function withoutPath(cause: NodeJS.ErrnoException): Error | undefined {
  if (cause.code === undefined) return cause;
  return cause.code === "ENOENT" ? undefined : new Error(cause.code);
}

async function readText(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
    if (bytesRead > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    return buffer.toString("utf8", 0, bytesRead).trimEnd();
  } finally {
    await file.close();
  }
}
