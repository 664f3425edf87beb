import { constants } from "node:fs";
import { cp, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Descriptor } from "../../../contract/descriptor.ts";
import { FaasError } from "../../../contract/errors.ts";
import { readDescriptor } from "../../../kit/read-descriptor.ts";
import { ensureFolder, namesIn, removeTree, sweepFolder, writeFileDurably } from "./files.ts";

/** The folder of one generation of a function: `code/`, `secrets/` and `tmp/<instance>/`. */
export interface Workspace {
  readonly code: string;
  readonly secrets: string;
  readonly descriptor: Descriptor;
}

export interface WorkspacePlan {
  /** Folder of the function; the generation's lies in it. */
  readonly home: string;
  readonly generation: number;
  /** Folder of the artefact to copy. */
  readonly artefact: string;
  readonly secrets: readonly string[];
  /** Takes a fresh copy of the artefact, although there is one. */
  readonly renew?: boolean;
  /** Value of a secret; undefined when it is gone from the store. */
  readSecret(name: string): Promise<Buffer | undefined>;
}

export const generationFolder = (home: string, generation: number) => join(home, String(generation));

/**
 * Makes the folder unless it is there. Whatever has its final name is whole: copies are made beside it and renamed.
 * @throws {FaasError} `invalid` for a bad artefact or a secret that is nowhere any more; file system errors
 */
export async function prepareWorkspace(plan: WorkspacePlan): Promise<Workspace> {
  const { home, generation, artefact } = plan;
  const folder = generationFolder(home, generation);
  const code = join(folder, "code");
  await ensureFolder(home);
  if (!(await namesIn(folder)).includes("code")) {
    const unfinished = join(home, `.unfinished-${generation}`);
    await removeTree(unfinished);
    await ensureFolder(join(unfinished, "secrets"));
    await ensureFolder(join(unfinished, "tmp"));
    await copyArtefact(artefact, join(unfinished, "code"));
    // What is there without code was left by a renewal that did not come to its end.
    await removeTree(folder);
    await rename(unfinished, folder);
  } else if (plan.renew) await renewCode(home, artefact, code);
  await refreshSecrets(plan, join(folder, "secrets"));
  return { code, secrets: join(folder, "secrets"), descriptor: await readDescriptor(code) };
}

/** Processes that still run in the old copy keep it for as long as they do. */
async function renewCode(home: string, artefact: string, code: string): Promise<void> {
  const [renewed, spoiled] = [join(home, ".renewed"), join(home, ".spoiled")];
  for (const left of [renewed, spoiled]) await removeTree(left);
  // First, as there may be no room for a second one.
  await rename(code, spoiled);
  await removeTree(spoiled);
  await copyArtefact(artefact, renewed);
  await rename(renewed, code);
}

async function copyArtefact(artefact: string, code: string): Promise<void> {
  const options = { recursive: true, verbatimSymlinks: true, errorOnExist: true, force: false } as const;
  try {
    // Shares blocks with the artefact where the file system can.
    await cp(artefact, code, { ...options, mode: constants.COPYFILE_FICLONE });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new FaasError("invalid", "the build of its image is gone; build and deploy it again", { cause });
  }
  await ensureFolder(code);
}

/** Leaves exactly the secrets of the plan; one that is gone from the store keeps the copy it has. */
async function refreshSecrets(plan: WorkspacePlan, folder: string): Promise<void> {
  await sweepFolder(folder, (name) => plan.secrets.includes(name));
  const copies = await namesIn(folder);
  for (const name of plan.secrets) {
    const value = await plan.readSecret(name);
    const copy = copies.includes(name) ? await readFile(join(folder, name)) : undefined;
    if (!value && !copy) throw new FaasError("invalid", `secret "${name}" not found`);
    // Left alone when it is right, so that functions start on a full disk.
    if (value && !copy?.equals(value)) await writeSecret(plan.home, folder, name, value);
  }
}

/** Replaces a secret in a folder that a function reads: it sees the old value or the new one, and no other file. */
export async function writeSecret(home: string, folder: string, name: string, value: Buffer): Promise<void> {
  await writeFileDurably(join(folder, name), value, home);
}
