import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isFunctionName } from "../../contract/functions.ts";
import { stripEnd } from "../../contract/strip-end.ts";
import { copyTree } from "../build/copy-tree.ts";
import { type FetchTemplate, findOrFetchTemplate } from "../build/templates.ts";
import { CliError } from "../errors.ts";
import { findStackFile } from "../load-stack.ts";
import { parseStack } from "../stack/parse.ts";
import { formatEntry, formatStack, type NewFunction } from "./format-stack.ts";

export interface CreateRequest extends Omit<NewFunction, "handler" | "image"> {
  /** Relative to `baseDir`. */
  readonly folder: string;
  readonly prefix: string;
  /** Stack file to add to, instead of a new one. */
  readonly append: string | undefined;
  readonly gateway: string;
  readonly baseDir: string;
  readonly templateDirs: readonly string[];
  /** For templates that are in none of them. */
  readonly fetchTemplate?: FetchTemplate | undefined;
}

export interface Created {
  readonly folder: string;
  readonly stackFile: string;
  readonly welcomeMessage?: string | undefined;
}

const IGNORED = ["template", "build", ".secrets"];

/** Makes handler folder, stack file and `.gitignore`. Everything is checked before the first of them is touched. */
export async function scaffoldFunction(request: CreateRequest): Promise<Created> {
  const { name, lang, folder, prefix, baseDir } = request;
  if (!isFunctionName(name)) {
    throw new CliError(`${JSON.stringify(name)} cannot name a function: use lower-case letters, digits and dashes`);
  }
  const handler = resolve(baseDir, folder);
  if (await exists(handler)) throw new CliError(`the folder ${folder} exists already; --handler names another one`);
  const template = await findOrFetchTemplate(lang, request.templateDirs, request.fetchTemplate);
  const { sample } = template;
  if (sample === undefined) throw new CliError(`the template ${lang} has no sample handler`);
  const image = `${prefix === "" ? "" : `${stripEnd(prefix, "/")}/`}${name}:latest`;
  const plan = await planStackFile(request, { ...request, handler: `./${folder.replace(/^\.\//, "")}`, image });

  await copyTree(sample, handler, { directoryMode: 0o700 });
  await writeFile(plan.path, plan.text, { mode: 0o600 });
  await ignoreOutput(join(baseDir, ".gitignore"));
  return { folder, stackFile: plan.name, welcomeMessage: template.welcomeMessage };
}

async function planStackFile(request: CreateRequest, fn: NewFunction) {
  const { append, baseDir, gateway } = request;
  if (append === undefined) {
    const existing = findStackFile(baseDir);
    if (existing) throw new CliError(`${existing} exists already; add the function to it with --append ${existing}`);
    return { name: "stack.yaml", path: join(baseDir, "stack.yaml"), text: formatStack(gateway, fn) };
  }
  if (!/\.ya?ml$/.test(append)) throw new CliError("--append must name a .yml or .yaml file");
  const path = resolve(baseDir, append);
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    throw new CliError(`--append: cannot read ${append}: ${cause.message}`, { cause });
  });
  const known = parseStack(text, { file: append, env: {}, envsubst: false }).functions;
  if (known.some(({ name }) => name === fn.name)) throw new CliError(`${append} has a function ${fn.name} already`);
  const extended = insertEntry(text, formatEntry(fn));
  if (!landsInFunctions(extended, append, fn.name)) {
    throw new CliError(`cannot append to ${append}: functions must be a block, indented by two spaces`);
  }
  return { name: append, path, text: extended };
}

/** Behind the last function: before the key that follows, and what is written above that. */
function insertEntry(text: string, entry: string): string {
  const lines = stripEnd(text, "\n").split("\n");
  const start = lines.findIndex((line) => /^functions:\s*(#.*)?\r?$/.test(line));
  const next = lines.findIndex((line, place) => place > start && /^[^\s#-]/.test(line));
  if (start < 0 || next < 0) return `${lines.join("\n")}\n${entry}`;
  let end = next;
  while (end > start + 1 && /^\s*$|^#/.test(lines[end - 1] as string)) end--;
  return [...lines.slice(0, end), stripEnd(entry, "\n"), ...lines.slice(end), ""].join("\n");
}

/** The entry is added as text, to keep comments and spelling; this tells whether it became what it was meant to be. */
function landsInFunctions(text: string, file: string, name: string): boolean {
  try {
    return parseStack(text, { file, env: {}, envsubst: false }).functions.at(-1)?.name === name;
  } catch (error) {
    if (error instanceof CliError) return false;
    throw error;
  }
}

async function ignoreOutput(path: string): Promise<void> {
  const text = (await exists(path)) ? await readFile(path, "utf8") : "";
  const lines = new Set(text.split(/\r?\n/));
  const missing = IGNORED.filter(
    (name) => ![name, `/${name}`, `${name}/`, `/${name}/`].some((line) => lines.has(line)),
  );
  if (missing.length === 0) return;
  await appendFile(path, `${text === "" || text.endsWith("\n") ? "" : "\n"}${missing.join("\n")}\n`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
