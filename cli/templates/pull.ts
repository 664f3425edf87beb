import { lstat, mkdir, readdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { copyTree } from "../build/copy-tree.ts";
import { CliError } from "../errors.ts";
import { type CloneSettings, checkOut } from "./clone.ts";
import { measureTree } from "./measure.ts";
import { parseTemplateSource, withoutPassword } from "./source.ts";

export interface PullRequest {
  /** `URL[#ref]` or a path. */
  readonly source: string;
  /** Parent of template folders: `./template`. */
  readonly into: string;
  /** Only this one of them; all unless given. */
  readonly name?: string | undefined;
  /** What it is called here; its own name unless given. */
  readonly as?: string | undefined;
  /** Added to the name of every folder, as `@ref`. */
  readonly suffix?: string | undefined;
  /** Whether templates that are there already are copied over. */
  readonly overwrite: boolean;
  readonly now: Date;
}

const MAX_TEMPLATE_BYTES = 64 * 1024 ** 2;
const MAX_TEMPLATE_ENTRIES = 20_000;
const MAX_TEMPLATES = 500;
/** A name that is one part of a path, and that neither a shell nor a terminal takes for something else. */
const NAME = /^[A-Za-z0-9][\w.@+-]{0,99}$/;

/**
 * Copies templates of a repository, which has them in `template/`. All of them are looked at before the first is copied.
 * @returns the names that they have here, sorted
 * @throws {CliError}
 */
export async function pullTemplates(request: PullRequest, settings: CloneSettings): Promise<string[]> {
  const repository = parseTemplateSource(request.source);
  await using checkout = await checkOut(repository, settings);
  const where = withoutPassword(request.source);
  const chosen = await chooseTemplates(checkout.folder, where, request);
  if (!request.overwrite) await refuseExisting(chosen, request.into);
  for (const { folder, target } of chosen) {
    const to = join(request.into, target);
    await mkdir(to, { recursive: true });
    await copyTree(folder, to, { directoryMode: 0o755, root: folder });
    const meta = {
      repository: withoutPassword(repository.location),
      ref_name: repository.ref?.name ?? "",
      sha: checkout.sha ?? "",
      written_at: request.now.toISOString(),
    };
    await writeFile(join(to, "meta.json"), `${JSON.stringify(meta, null, 2)}\n`);
  }
  return chosen.map(({ target }) => target);
}

interface Chosen {
  readonly folder: string;
  readonly target: string;
}

async function chooseTemplates(root: string, where: string, { name, as, suffix }: PullRequest): Promise<Chosen[]> {
  const parent = join(root, "template");
  const stats = await lstat(parent).catch(() => undefined);
  if (!stats?.isDirectory()) throw new CliError(`template repository ${where}: has no folder template/`);
  const names: string[] = [];
  for (const entry of await readdir(parent, { withFileTypes: true })) {
    if (!entry.isDirectory() || (name !== undefined && entry.name !== name)) continue;
    const files = await readdir(join(parent, entry.name));
    if (!files.includes("template.yml")) continue;
    if (!NAME.test(entry.name)) {
      throw new CliError(`template repository ${where}: ${JSON.stringify(entry.name)} cannot name a template`);
    }
    names.push(entry.name);
  }
  if (names.length === 0) {
    const what = name === undefined ? "no template in template/" : `no template ${JSON.stringify(name)}`;
    throw new CliError(`template repository ${where}: has ${what}`);
  }
  if (names.length > MAX_TEMPLATES) {
    throw new CliError(`template repository ${where}: has more than ${MAX_TEMPLATES} templates`);
  }
  const chosen: Chosen[] = [];
  for (const found of names.sort()) {
    const target = `${as ?? found}${suffix === undefined ? "" : `@${suffix}`}`;
    if (!NAME.test(target)) throw new CliError(`${JSON.stringify(target)} cannot name a template here`);
    const folder = await realpath(join(parent, found));
    await refuseHostile(folder, `template repository ${where}: ${found}`);
    chosen.push({ folder, target });
  }
  return chosen;
}

/** A template is files and folders; links could lead to what is none of its business. */
async function refuseHostile(folder: string, what: string): Promise<void> {
  const { tooLarge } = await measureTree(folder, MAX_TEMPLATE_BYTES, MAX_TEMPLATE_ENTRIES);
  if (tooLarge) {
    throw new CliError(`${what}: has more than ${MAX_TEMPLATE_BYTES} bytes or ${MAX_TEMPLATE_ENTRIES} files`);
  }
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() || entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    const kind = entry.isSymbolicLink() ? "a symbolic link" : "neither a file nor a folder";
    throw new CliError(`${what}: ${path} is ${kind}, which templates must not have`);
  }
}

async function refuseExisting(chosen: readonly Chosen[], into: string): Promise<void> {
  const existing = new Set(await readdir(into).catch(() => []));
  const found = chosen.filter(({ target }) => existing.has(target)).map(({ target }) => target);
  if (found.length === 0) return;
  throw new CliError(`${found.join(", ")}: exists already in ${into}; --overwrite copies over it`);
}
