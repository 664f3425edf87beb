import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type FunctionOptions, type FunctionProcess, startFunction } from "./function-process.ts";

/** Starts a function whose handler is written here: texts by their paths below the handler's folder. */
export async function startWritten(
  template: string,
  files: Readonly<Record<string, string>>,
  options: Omit<FunctionOptions, "handler"> = {},
): Promise<FunctionProcess & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-handler-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    const fn = await startFunction(template, { ...options, handler: folder });
    return { ...fn, [Symbol.asyncDispose]: () => fn.remove() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
