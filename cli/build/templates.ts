import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CliError } from "../errors.ts";
import { parseTemplate, type Template } from "../stack/template.ts";

export interface FoundTemplate extends Template {
  readonly handlerFolder: string;
  readonly folder: string;
  /** Folders whose files make up the template, each laid over the ones before: those that it extends, then its own. */
  readonly layers: readonly string[];
  /** Folder of the sample handler; undefined when none of the layers has one. */
  readonly sample: string | undefined;
}

/** Gets a template that is not there, once however many functions want it. Throws `CliError`. */
export type FetchTemplate = (lang: string) => Promise<void>;

/** More of them are a mistake, or meant ill. */
const MAX_LAYERS = 8;

/** Names of the templates below `folders`, sorted, each once. */
export async function listTemplates(folders: readonly string[]): Promise<string[]> {
  const found = await Promise.all(folders.map(templatesIn));
  return [...new Set(found.flat())].sort();
}

/**
 * The template that `lang` names, from the first of `folders` that has it, with what it extends.
 * @throws {CliError} naming the templates there are, or what is wrong with its `template.yml`
 */
export async function findTemplate(lang: string, folders: readonly string[]): Promise<FoundTemplate> {
  return await findExtended(lang, folders, []);
}

/**
 * {@link findTemplate}, after fetching the template where it is missing.
 * @throws {CliError} which then tells of both
 */
export async function findOrFetchTemplate(
  lang: string,
  folders: readonly string[],
  fetchTemplate: FetchTemplate | undefined,
): Promise<FoundTemplate> {
  if (fetchTemplate !== undefined && (await folderOf(lang, folders)) === undefined) {
    try {
      await fetchTemplate(lang);
    } catch (cause) {
      const missing = (error: Error) => new CliError(`${error.message}; ${(cause as Error).message}`, { cause });
      return await findTemplate(lang, folders).catch((error: Error) => Promise.reject(missing(error)));
    }
  }
  return await findTemplate(lang, folders);
}

async function findExtended(lang: string, folders: readonly string[], seen: readonly string[]): Promise<FoundTemplate> {
  const folder = await folderOf(lang, folders);
  if (folder === undefined) {
    const available = await listTemplates(folders);
    const hint = available.length === 0 ? "there are none" : `available: ${available.join(", ")}`;
    const by = seen.length === 0 ? "" : `, which ${seen.at(-1)} extends`;
    throw new CliError(`there is no template for lang ${JSON.stringify(lang)}${by} (${hint})`);
  }
  const file = join(folder, "template.yml");
  const own = parseTemplate(await readFile(file, "utf8"), file);
  if (own.extends === undefined) {
    const handlerFolder = own.handlerFolder ?? "function";
    return { ...own, handlerFolder, folder, layers: [folder], sample: await sampleIn(folder, handlerFolder) };
  }
  if (seen.includes(own.extends) || own.extends === lang || seen.length >= MAX_LAYERS) {
    throw new CliError(`${file}: extends: ${own.extends} leads in a circle, or to more than ${MAX_LAYERS} templates`);
  }
  const base = await findExtended(own.extends, folders, [...seen, lang]);
  const handlerFolder = own.handlerFolder ?? base.handlerFolder;
  const sample = (await sampleIn(folder, handlerFolder)) ?? base.sample;
  const buildOptions = new Map([...base.buildOptions, ...own.buildOptions]);
  return { ...base, ...own, handlerFolder, buildOptions, folder, layers: [...base.layers, folder], sample };
}

async function sampleIn(folder: string, handlerFolder: string): Promise<string | undefined> {
  const sample = join(folder, handlerFolder);
  return (await stat(sample).catch(() => undefined))?.isDirectory() ? sample : undefined;
}

/** The folder of a template; undefined when none of `folders` has it. */
async function folderOf(lang: string, folders: readonly string[]): Promise<string | undefined> {
  for (const parent of folders) {
    // Compared with what the folder lists: a file system that ignores case would accept any spelling, and a name with
    // slashes must not leave the folder.
    if ((await entriesOf(parent)).includes(lang) && (await isTemplate(join(parent, lang)))) return join(parent, lang);
  }
  return undefined;
}

async function templatesIn(parent: string): Promise<string[]> {
  const names = await entriesOf(parent);
  const found = await Promise.all(names.map((name) => isTemplate(join(parent, name))));
  return names.filter((_, index) => found[index]);
}

async function isTemplate(folder: string): Promise<boolean> {
  return (await entriesOf(folder)).includes("template.yml");
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
