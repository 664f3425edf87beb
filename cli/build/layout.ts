import { realpath, rm, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { type IgnoreRules, NEVER_IGNORED } from "../../contract/ignore-file.ts";
import { CliError } from "../errors.ts";
import type { StackFunction } from "../stack/types.ts";
import { copyTree } from "./copy-tree.ts";
import { readIgnoreFile } from "./ignore-file.ts";
import { isInProject } from "./project-root.ts";
import type { FoundTemplate } from "./templates.ts";

export interface LayoutSettings {
  /** Where handlers and extra paths are looked for: the working directory. */
  readonly baseDir: string;
  /** Parent of the contexts, one folder a function. */
  readonly buildDir: string;
  /** Paths that go into the handler folder, keeping their path below `baseDir`. */
  readonly copyExtra: readonly string[];
  /** Nothing from outside of it is packed, be it named or linked; absent packs from anywhere. */
  readonly projectRoot?: string;
  /** Opens the folders to everybody, as CI runners of several users need. */
  readonly shared: boolean;
}

/**
 * Lays out the build context of a function: the template with the handler over it, as `faas-cli build --shrinkwrap`
 * does. What an earlier build left there is removed first.
 * @param template absent for `lang: dockerfile`, whose handler folder is the context
 * @returns the folder
 * @throws {CliError}
 */
export async function layOutContext(
  fn: Pick<StackFunction, "name" | "handler">,
  template: FoundTemplate | undefined,
  settings: LayoutSettings,
): Promise<string> {
  const { baseDir, buildDir } = settings;
  if (fn.name === "" || fn.name === "." || fn.name === ".." || /[/\\\0]/.test(fn.name)) {
    throw new CliError(`the function name ${JSON.stringify(fn.name)} cannot name a folder`);
  }
  if (!fn.handler) throw new CliError("handler: is missing from the stack file");
  const handler = resolve(baseDir, fn.handler);
  const isFolder = await stat(handler).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new CliError(`handler: the folder ${fn.handler} does not exist`);
  const { projectRoot: root } = settings;
  if (root !== undefined && !isInProject(await realpath(handler), root)) {
    throw new CliError(
      `handler: ${fn.handler} is outside of the project in ${root}; --allow-outside packs it all the same`,
    );
  }
  const extras = settings.copyExtra.map((path) => ({ path, inside: insidePath(path, baseDir) }));

  const context = join(resolve(baseDir, buildDir), fn.name);
  await rm(context, { recursive: true, force: true });
  const directoryMode = settings.shared ? 0o777 : 0o700;
  const own = { directoryMode, ...(root !== undefined && { root }) };
  // The tool's own folders, which a handler that is the working directory itself holds too. Elsewhere the names are free.
  const tools = [buildDir, "build", "template"].map((folder) => resolve(baseDir, folder));
  const ignored: Ignored[] = [];
  let target = context;
  if (template) {
    target = join(context, insidePath(template.handlerFolder, context));
    await layTemplate(template, context, { directoryMode, confined: root !== undefined, ignored });
  }
  ignored.push({ rules: await readIgnoreFile(handler), below: target });
  const skip = skipIgnored(handler, target, ignored);
  await copyTree(handler, target, { ...own, skip: (path) => tools.includes(path) || skip(path) });
  for (const { path, inside } of extras) {
    const source = resolve(baseDir, path);
    await copyTree(source, join(target, inside), { ...own, skip: skipIgnored(source, join(target, inside), ignored) });
  }
  return context;
}

/** Copies the layers of a template, of their samples only the one that counts. */
async function layTemplate(
  template: FoundTemplate,
  context: string,
  { directoryMode, confined, ignored }: { directoryMode: number; confined: boolean; ignored: Ignored[] },
): Promise<void> {
  for (const layer of template.layers) {
    ignored.push({ rules: await readIgnoreFile(layer), below: context });
    const sample = join(layer, template.handlerFolder);
    const isIgnored = skipIgnored(layer, context, ignored);
    await copyTree(layer, context, {
      directoryMode,
      ...(confined && { root: await realpath(layer) }),
      skip: (path) => (path === sample && sample !== template.sample) || isIgnored(path),
    });
  }
}

/** Rules for what is below a folder of the context. */
interface Ignored {
  readonly rules: IgnoreRules;
  readonly below: string;
}

/**
 * Tells what not to copy from `source` to `target`.
 * @param ignored all rules, of the template and of the handler, each of which may leave out
 */
function skipIgnored(source: string, target: string, ignored: readonly Ignored[]): (path: string) => boolean {
  return (path) => {
    const place = join(target, relative(source, path));
    return ignored.some(({ rules, below }) => {
      const inside = relative(below, place).split(sep).join("/");
      return !NEVER_IGNORED.test(inside) && rules.ignores(inside) && !rules.hasException(inside);
    });
  };
}

/** `path` relative to `folder`. @throws {CliError} when it is `folder` itself or outside of it */
function insidePath(path: string, folder: string): string {
  const inside = relative(folder, resolve(folder, path));
  if (inside === "" || isAbsolute(inside) || inside.split(/[/\\]/)[0] === "..") {
    throw new CliError(`${JSON.stringify(path)} must be below ${folder}`);
  }
  return inside;
}
