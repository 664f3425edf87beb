import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Builder } from "../backend.ts";
import { type BuildLimits, DEFAULT_BUILD_LIMITS } from "../build/limits.ts";
import { unpackContext } from "../build/unpack.ts";
import { ensureFolder, removeTree } from "../local/files.ts";
import { hasRecipe } from "./recipe.ts";

export interface BuildersByRecipe {
  /** Builds contexts that need no engine. */
  readonly plain: Builder;
  /** Builds those whose Dockerfile has to be run. */
  readonly stepped: Builder;
  /** Unfinished work is in `builds` below it. */
  readonly dataDir: string;
  readonly limits?: Partial<BuildLimits> | undefined;
}

/** Gives each context to the builder for its kind. */
export function builderByRecipe({ plain, stepped, dataDir, limits: given }: BuildersByRecipe): Builder {
  const limits = { ...DEFAULT_BUILD_LIMITS, ...given };
  return {
    async *build(archive, config, signal) {
      const folder = join(dataDir, "builds", randomUUID());
      await ensureFolder(folder);
      let isPlain: boolean;
      try {
        await unpackContext(archive, folder, limits, signal);
        isPlain = await hasRecipe(folder);
      } finally {
        await removeTree(folder);
      }
      yield* (isPlain ? plain : stepped).build(archive, config, signal);
    },
  };
}
