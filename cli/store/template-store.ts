import { decodeTemplateStore, type StoredTemplate } from "../../contract/store.ts";
import { CliError } from "../errors.ts";
import { type DownloadSettings, download } from "./download.ts";
import { TEMPLATE_STORE_VARIABLE } from "./locations.ts";

export const isOfficial = ({ official }: StoredTemplate): boolean => String(official) === "true";

/** @throws {CliError} */
export async function readTemplateStore(location: string, baseDir: string): Promise<StoredTemplate[]> {
  const settings: DownloadSettings = {
    what: "template store",
    baseDir,
    replacedBy: `--url or ${TEMPLATE_STORE_VARIABLE}`,
  };
  const templates = decodeTemplateStore(await download(location, settings), `template store ${location}`);
  return sortTemplates(templates);
}

/** What is recommended comes first, then by whether it is official, as text, then by name. */
export function sortTemplates(templates: readonly StoredTemplate[]): StoredTemplate[] {
  const key = ({ recommended, official = "false" }: StoredTemplate) => `${recommended ? 0 : 1}${official}`;
  return [...templates].sort((a, b) => compare(key(a), key(b)) || compare(a.template, b.template));
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));

/** The template of that name, where the store is. @throws {CliError} */
export function findStoredTemplate(templates: readonly StoredTemplate[], name: string): StoredTemplate {
  const found = templates.find(({ template }) => template === name);
  if (found === undefined) throw new CliError(`the template store has no template ${JSON.stringify(name)}`);
  return found;
}
