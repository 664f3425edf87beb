import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { CliError } from "../errors.ts";

const MAX_BYTES = 4 * 1024 ** 2;
const TIMEOUT_MS = 15_000;

export interface DownloadSettings {
  /** What the document is, for messages: `template store`. */
  readonly what: string;
  readonly baseDir: string;
  /** How to name another one, for messages. */
  readonly replacedBy: string;
  readonly timeoutMs?: number;
}

/**
 * The text at an http(s) URL, or of a file.
 * @throws {CliError} in one line, with what to do
 */
export async function download(location: string, settings: DownloadSettings): Promise<string> {
  const { what, baseDir, replacedBy } = settings;
  try {
    if (/^https?:\/\//i.test(location)) return await fetchText(location, settings.timeoutMs ?? TIMEOUT_MS);
    const path = resolve(baseDir, location);
    if ((await stat(path)).size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    return await readFile(path, "utf8");
  } catch (cause) {
    const why = explain(cause);
    throw new CliError(`the ${what} at ${location} cannot be read: ${why}; name another one with ${replacedBy}`, {
      cause,
    });
  }
}

async function fetchText(url: string, timeoutMs: number): Promise<string> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: "application/json" },
  });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function explain(cause: unknown): string {
  const { name, message, cause: reason } = cause as Error & { cause?: NodeJS.ErrnoException };
  if (name === "TimeoutError") return "it did not answer in time";
  if (message !== "fetch failed") return message;
  return `this machine is offline or cannot reach it (${reason?.code ?? reason?.message ?? message})`;
}
