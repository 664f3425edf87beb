import { type IgnoreRules, NEVER_IGNORED, parseIgnoreFile } from "../../../../contract/ignore-file.ts";
import type { UiFile, UiTemplate } from "../../../../contract/ui/deploy.ts";
import { cleanPath, refuseFile, UploadProblem } from "./file-path.ts";
import type { PackedFile } from "./tar.ts";

/** The platform's, by default. */
export const UPLOAD_LIMITS = { maxFiles: 50_000, maxBytes: 256 * 1024 ** 2 };

/** A context to build. */
export interface Context {
  readonly files: readonly PackedFile[];
  /** Files of the handler that were left out, as `.dockerignore` says. */
  readonly leftOut: number;
}

/** What nobody wants in an image, whether or not a `.dockerignore` says so. */
const ALWAYS_IGNORED = parseIgnoreFile("**/.git\n**/.DS_Store\n");

/**
 * Files that were chosen, below the folder that all of them are in: that of an upload is the handler's own.
 * @throws {UploadProblem}
 */
export function handlerOf(files: readonly PackedFile[], { maxFiles, maxBytes } = UPLOAD_LIMITS): PackedFile[] {
  if (files.length === 0) throw new UploadProblem("there are no files in it");
  if (files.length > maxFiles) throw new UploadProblem(`it has more than ${maxFiles} files`);
  const bytes = files.reduce((total, { content }) => total + sizeOf(content), 0);
  if (bytes > maxBytes) throw new UploadProblem(`it has more than ${maxBytes} bytes`);
  const clean = files.map((file) => ({ ...file, path: cleanPath(file.path) }));
  const [root] = (clean[0] as PackedFile).path.split("/");
  const isBelow = clean.every(({ path }) => path.startsWith(`${root}/`));
  return isBelow ? clean.map((file) => ({ ...file, path: file.path.slice((root as string).length + 1) })) : clean;
}

/** A template with a handler over it, as `faaslane build` lays it out. @throws {UploadProblem} */
export async function layOut(template: UiTemplate, handler: readonly PackedFile[]): Promise<Context> {
  const { handlerFolder, ignore } = template;
  const prefix = handlerFolder === "" ? "" : `${handlerFolder}/`;
  const ofTemplate = ignore.map((text) => parseIgnoreFile(text));
  const own = handler.find(({ path }) => path === ".dockerignore");
  const ofHandler = own ? readRules(await textOf(own.content)) : undefined;
  const files = new Map<string, PackedFile>(template.files.map((file) => [file.path, fileOf(file)]));
  let leftOut = 0;
  for (const file of handler) {
    const path = prefix + file.path;
    const isLeftOut =
      leavesOut(ALWAYS_IGNORED, file.path) ||
      (ofHandler !== undefined && leavesOut(ofHandler, file.path)) ||
      ofTemplate.some((rules) => leavesOut(rules, path));
    if (isLeftOut) leftOut += 1;
    else files.set(path, { ...file, path });
  }
  if (files.size > UPLOAD_LIMITS.maxFiles) throw new UploadProblem(`it has more than ${UPLOAD_LIMITS.maxFiles} files`);
  const paths = new Set(files.keys());
  for (const path of paths) {
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
      if (paths.has(path.slice(0, at))) throw refuseFile(path.slice(0, at), "is both a file and a folder");
    }
  }
  const sorted = [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files: sorted, leftOut };
}

/** As the gateway tells it. */
export function fileOf({ path, text, encoding }: UiFile): PackedFile {
  if (encoding === undefined) return { path, content: new TextEncoder().encode(text) };
  return { path, content: Uint8Array.from(atob(text), (char) => char.charCodeAt(0)) };
}

/** A folder that is left out takes along what is in it, unless an exception names that. */
function leavesOut(rules: IgnoreRules, path: string): boolean {
  if (NEVER_IGNORED.test(path)) return false;
  const parts = path.split("/");
  return parts.some((_, at) => {
    const part = parts.slice(0, at + 1).join("/");
    return rules.ignores(part) && !rules.hasException(part);
  });
}

function readRules(text: string): IgnoreRules {
  try {
    return parseIgnoreFile(text);
  } catch (error) {
    throw refuseFile(".dockerignore", `cannot be read: ${(error as Error).message}`);
  }
}

const MAX_RULES_BYTES = 1024 ** 2;

async function textOf(content: PackedFile["content"]): Promise<string> {
  const blob = content instanceof Blob ? content : new Blob([content]);
  return await blob.slice(0, MAX_RULES_BYTES).text();
}

function sizeOf(content: PackedFile["content"]): number {
  return content instanceof Blob ? content.size : content.length;
}
