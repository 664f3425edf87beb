import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type BuildConfig, PACKAGE } from "../../../contract/build.ts";
import { decode, maybe, parseJson, stringMap } from "../../../contract/decode.ts";
import { FaasError } from "../../../contract/errors.ts";

const MAX_CONFIG_BYTES = 64 * 1024;

const packageConfig = z.object({
  image: z.string().min(1),
  buildArgs: maybe(stringMap),
  platforms: maybe(z.array(z.string()).max(100)),
  skipPush: maybe(z.boolean()),
});

/**
 * Context and configuration of an unpacked package.
 * @throws {FaasError} `invalid` naming what is missing or wrong
 */
export async function readPackage(folder: string): Promise<{ context: string; config: BuildConfig }> {
  const file = join(folder, PACKAGE.config);
  const context = join(folder, PACKAGE.context);
  const [isFile, isFolder] = await Promise.all([
    stat(file).then(
      (stats) => stats.isFile() && stats.size <= MAX_CONFIG_BYTES,
      () => false,
    ),
    stat(context).then(
      (stats) => stats.isDirectory(),
      () => false,
    ),
  ]);
  if (!isFile) throw broken(`must hold ${PACKAGE.config}, of at most ${MAX_CONFIG_BYTES} bytes`);
  if (!isFolder) throw broken(`must hold the folder ${PACKAGE.context}/`);
  if (existsSync(join(folder, PACKAGE.secrets))) throw broken("holds build secrets, which this builder takes none of");
  const value = parseJson(await readFile(file, "utf8"), PACKAGE.config, 2_000);
  const { skipPush, ...config } = decode(packageConfig, value, PACKAGE.config);
  if (skipPush) throw broken("skipPush: must be false, as images are kept nowhere but in their registry");
  return { context, config };
}

function broken(rule: string): FaasError {
  return new FaasError("invalid", `build: the tar ${rule}`);
}
