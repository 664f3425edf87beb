import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "tar";
import { type BuildConfig, PACKAGE } from "../../../contract/build.ts";
import { FaasError } from "../../../contract/errors.ts";
import { askBuilder } from "../../../kit/ask-builder.ts";
import type { Builder } from "../backend.ts";
import { checkBuildArgs, checkImageName } from "../build/image-name.ts";
import { type BuildLimits, DEFAULT_BUILD_LIMITS } from "../build/limits.ts";
import { unpackContext } from "../build/unpack.ts";
import { ensureFolder, removeTree } from "../local/files.ts";

export interface RemoteBuilderOptions {
  /** Of a builder with OpenFaaS's builder API. Its path ends in `/`. */
  readonly url: URL;
  /** File with what requests are signed with. */
  readonly secretFile: string;
  /** Unfinished work is in `builds` below it. */
  readonly dataDir: string;
  readonly limits?: Partial<BuildLimits> | undefined;
}

/** Has another process build: one that installs packages has no business beside the credentials of a cluster. */
export function openRemoteBuilder({ url, secretFile, dataDir, limits: given }: RemoteBuilderOptions): Builder {
  const limits = { ...DEFAULT_BUILD_LIMITS, ...given };
  return {
    async *build(archive, config, signal) {
      checkImageName(config.image);
      checkBuildArgs(config.buildArgs ?? {});
      const secret = await readSecret(secretFile);
      const folder = join(dataDir, "builds", randomUUID());
      await ensureFolder(folder);
      try {
        const file = await pack(archive, config, { folder, limits, signal });
        yield* askBuilder({ url, file, secret }, signal);
      } finally {
        await removeTree(folder);
      }
    },
  };
}

async function readSecret(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new FaasError("unavailable", "build: the builder's payload secret cannot be read", { cause });
  }
}

/** Puts context and configuration into one tar. @returns its path */
async function pack(
  archive: string,
  { image, buildArgs, platforms }: BuildConfig,
  { folder, limits, signal }: { folder: string; limits: BuildLimits; signal: AbortSignal },
): Promise<string> {
  const content = join(folder, "content");
  const context = join(content, PACKAGE.context);
  await mkdir(context, { recursive: true, mode: 0o700 });
  await unpackContext(archive, context, limits, signal);
  await writeFile(join(content, PACKAGE.config), JSON.stringify({ image, buildArgs, platforms }), { mode: 0o600 });
  const file = join(folder, "package.tar");
  await create({ cwd: content, file, portable: true, follow: false }, [PACKAGE.config, PACKAGE.context]);
  return file;
}
