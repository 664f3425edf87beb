import { realpath, rm, stat } from "node:fs/promises";
import { basename, isAbsolute, join, relative, resolve } from "node:path";
import { CliError } from "../errors.ts";
import type { StackFunction } from "../stack/types.ts";
import { type CopyOptions, copyTree } from "./copy-tree.ts";
import { isWithin } from "./project-root.ts";
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
  if (root !== undefined && !isWithin(await realpath(handler), root)) {
    throw new CliError(
      `handler: ${fn.handler} is outside of the project in ${root}; --allow-outside packs it all the same`,
    );
  }
  const extras = settings.copyExtra.map((path) => ({ path, inside: insidePath(path, baseDir) }));

  const context = join(resolve(baseDir, buildDir), fn.name);
  await rm(context, { recursive: true, force: true });
  const directoryMode = settings.shared ? 0o777 : 0o700;
  const own = { directoryMode, ...(root !== undefined && { root }) };
  const options: CopyOptions = {
    ...own,
    // `build` and `template` are the tool's own folders when the handler is the working directory itself.
    skip: (path, depth) =>
      path === resolve(baseDir, buildDir) || (depth === 0 && /^(build|template)$/.test(basename(path))),
  };
  if (template) {
    const ofTemplate = root !== undefined && { root: await realpath(template.folder) };
    await copyTree(template.folder, context, { directoryMode, ...ofTemplate });
  }
  const target = template ? join(context, insidePath(template.handlerFolder, context)) : context;
  await copyTree(handler, target, options);
  for (const { path, inside } of extras) await copyTree(resolve(baseDir, path), join(target, inside), own);
  return context;
}

/** `path` relative to `folder`. @throws {CliError} when it is `folder` itself or outside of it */
function insidePath(path: string, folder: string): string {
  const inside = relative(folder, resolve(folder, path));
  if (inside === "" || isAbsolute(inside) || inside.split(/[/\\]/)[0] === "..") {
    throw new CliError(`${JSON.stringify(path)} must be below ${folder}`);
  }
  return inside;
}
