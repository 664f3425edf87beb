import { resolve } from "node:path";
import type { FetchTemplate } from "../build/templates.ts";
import { CliError, describeError } from "../errors.ts";
import type { TemplateSource } from "../stack/types.ts";
import type { CloneSettings } from "./clone.ts";
import { pullTemplates } from "./pull.ts";

export interface FetchSettings extends CloneSettings {
  /** `configuration.templates` of the stack file. */
  readonly configured: readonly TemplateSource[];
  /** The template store, which has what nothing else names; undefined leaves it out. */
  readonly storeUrl: string | undefined;
  readonly print: (line: string) => void;
}

/**
 * Fetches templates from where the stack file says they are, or else from the store, into `./template`.
 * @returns a function that throws {@link CliError}
 */
export function createTemplateFetcher(settings: FetchSettings): FetchTemplate {
  const running = new Map<string, Promise<void>>();
  return (lang) => {
    const already = running.get(lang);
    if (already !== undefined) return already;
    const fetching = fetchTemplate(lang, settings);
    running.set(lang, fetching);
    return fetching;
  };
}

async function fetchTemplate(lang: string, settings: FetchSettings): Promise<void> {
  const { configured, baseDir, print } = settings;
  const [name = "", ref] = splitRef(lang);
  const named = configured.find((template) => template.name === lang || template.name === name);
  const repository = named?.source ?? (await findInStore(name, settings));
  const source = ref === undefined || repository.includes("#") ? repository : `${repository}#${ref}`;
  print(`Fetching template ${lang} from ${source}`);
  try {
    const into = resolve(baseDir, "template");
    await pullTemplates({ source, into, name, suffix: ref, overwrite: true, now: new Date() }, settings);
  } catch (error) {
    throw new CliError(`template ${lang}: ${describeError(error)}`, { cause: error });
  }
}

/** `name@ref` names a template at a branch, a tag or a commit. */
function splitRef(lang: string): [name: string, ref: string | undefined] {
  const mark = lang.indexOf("@");
  return mark === -1 ? [lang, undefined] : [lang.slice(0, mark), lang.slice(mark + 1)];
}

async function findInStore(name: string, { storeUrl, baseDir }: FetchSettings): Promise<string> {
  if (storeUrl === undefined) throw new CliError(`configuration.templates names no source of ${name}`);
  const { findStoredTemplate, readTemplateStore } = await import("../store/template-store.ts");
  return findStoredTemplate(await readTemplateStore(storeUrl, baseDir), name).repo;
}
