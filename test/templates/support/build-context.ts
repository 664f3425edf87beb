import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

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
  return JSON.parse(await readFile(join(TEMPLATES, template, "faaslane.json"), "utf8"));
}

/**
 * Lays a handler over a template, as a build does, and runs the template's install step.
 * @param handler folder of the handler; a bare name is one of the fixtures; none leaves the template's sample
 */
export async function layOut(template: string, handler?: string): Promise<BuildContext> {
  const dir = await mkdtemp(join(tmpdir(), "faaslane-template-"));
  await cp(join(TEMPLATES, template), dir, { recursive: true });
  if (handler !== undefined) {
    const from = handler.includes("/") ? handler : join(FIXTURES, handler);
    await cp(from, join(dir, "function"), { recursive: true });
  }
  const { install, env } = await readDescriptor(template);
  if (install !== undefined) {
    const [program, ...args] = install;
    await promisify(execFile)(program, args, { cwd: dir, timeout: 20_000 });
  }
  return { dir, env, remove: () => rm(dir, { recursive: true, force: true }) };
}
