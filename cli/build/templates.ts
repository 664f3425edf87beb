import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CliError } from "../errors.ts";
import { parseTemplate, type Template } from "../stack/template.ts";

export interface FoundTemplate extends Template {
  readonly folder: string;
}

/** Names of the templates below `folders`, sorted, each once. */
export async function listTemplates(folders: readonly string[]): Promise<string[]> {
  const found = await Promise.all(folders.map(templatesIn));
  return [...new Set(found.flat())].sort();
}

/**
 * The template that `lang` names, from the first of `folders` that has it.
 * @throws {CliError} naming the templates there are, or what is wrong with its `template.yml`
 */
export async function findTemplate(lang: string, folders: readonly string[]): Promise<FoundTemplate> {
  for (const parent of folders) {
    // Compared with what the folder lists: a file system that ignores case would accept any spelling, and a name with
    // slashes must not leave the folder.
    if (!(await templatesIn(parent)).includes(lang)) continue;
    const folder = join(parent, lang);
    const file = join(folder, "template.yml");
    return { ...parseTemplate(await readFile(file, "utf8"), file), folder };
  }
  const available = await listTemplates(folders);
  const hint = available.length === 0 ? "there are none" : `available: ${available.join(", ")}`;
  throw new CliError(`there is no template for lang ${JSON.stringify(lang)} (${hint})`);
}

async function templatesIn(parent: string): Promise<string[]> {
  const names = await entriesOf(parent);
  const files = await Promise.all(
    names.map(async (name) => (await entriesOf(join(parent, name))).includes("template.yml")),
  );
  return names.filter((_, index) => files[index]);
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}
