import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CliError } from "./errors.ts";
import type { Stack } from "./stack/types.ts";

export interface StackSource {
  /** `-f`: a path, or an http(s) URL. Without it `stack.yaml`, then `stack.yml`, of `baseDir`. */
  readonly file?: string | undefined;
  readonly baseDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly envsubst?: boolean;
}

const LIMIT_BYTES = 4 * 1024 * 1024;
const DOWNLOAD_TIMEOUT_MS = 60_000;

/** The file that `baseDir` has, if any. */
export function findStackFile(baseDir: string): string | undefined {
  return ["stack.yaml", "stack.yml"].find((name) => existsSync(resolve(baseDir, name)));
}

/**
 * Finds, reads and parses the stack file.
 * @returns undefined when none was named and there is none
 * @throws {CliError} when the one named cannot be read, or is wrong
 */
export async function loadStack({ file, baseDir, env, envsubst = true }: StackSource): Promise<Stack | undefined> {
  const name = file || findStackFile(baseDir);
  if (name === undefined) return undefined;
  const text = /^https?:\/\//i.test(name) ? await download(name) : await read(name, baseDir);
  // Only now: most commands find no stack file, and the parser takes longer to load than they to run.
  const { parseStack } = await import("./stack/parse.ts");
  const stack = parseStack(text, { file: name, env, envsubst });
  if (stack.resources.length > 0) (await import("./stack/check-resources.ts")).checkResources(stack.resources);
  return stack;
}

async function read(name: string, baseDir: string): Promise<string> {
  try {
    return await readFile(resolve(baseDir, name), "utf8");
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (cause as Error).message;
    throw new CliError(`cannot read the stack file ${name}: ${why}`, { cause });
  }
}

async function download(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > LIMIT_BYTES) throw new Error(`it is larger than ${LIMIT_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString("utf8");
  } catch (cause) {
    throw new CliError(`cannot read the stack file ${url}: ${(cause as Error).message}`, { cause });
  }
}
