import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { layOutContext } from "../../../cli/build/layout.ts";
import { findTemplate } from "../../../cli/build/templates.ts";

export const TEMPLATES = join(import.meta.dirname, "../../../templates");
const FIXTURES = join(import.meta.dirname, "../fixtures");

/** What a template's `faaslane.json` says. */
export interface Descriptor {
  readonly requires: readonly string[];
  readonly install?: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

export interface BuildContext {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

export async function readDescriptor(template: string): Promise<Descriptor> {
  return JSON.parse(await readPart(template, "faaslane.json"));
}

/** A file of a template, be it one of those that it extends. */
export async function readPart(template: string, file: string): Promise<string> {
  const { layers } = await findTemplate(template, [TEMPLATES]);
  const folder = layers.findLast((layer) => existsSync(join(layer, file)));
  if (folder === undefined) throw new Error(`${template} has no ${file}`);
  return await readFile(join(folder, file), "utf8");
}

/**
 * Lays a handler over a template, as a build does, and runs the template's install step.
 * @param handler folder of the handler; a bare name is one of the fixtures; none leaves the template's sample
 */
export async function layOut(template: string, handler?: string): Promise<BuildContext> {
  const parent = await mkdtemp(join(tmpdir(), "faaslane-template-"));
  const found = await findTemplate(template, [TEMPLATES]);
  const own = handler?.includes("/") ? handler : handler && join(FIXTURES, handler);
  const settings = { baseDir: "/", buildDir: parent, copyExtra: [], shared: false };
  const dir = await layOutContext({ name: "context", handler: own ?? found.sample ?? parent }, found, settings);
  const { install, env } = await readDescriptor(template);
  if (install !== undefined) {
    const [program, ...args] = install;
    await promisify(execFile)(program, args, { cwd: dir, timeout: 240_000 });
  }
  return { dir, env, remove: () => rm(parent, { recursive: true, force: true }) };
}
