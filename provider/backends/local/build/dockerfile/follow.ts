import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DESCRIPTOR_FILE } from "../../../../../contract/descriptor.ts";
import { listFiles } from "../digest.ts";
import { LISTEN_FOLDER, START_FILE } from "./environment.ts";
import { LISTEN_FILES } from "./listen.ts";
import { parseDockerfile } from "./parse.ts";
import { planDockerfile } from "./plan.ts";

const INSTALL_FILE = ".faaslane/install.sh";

/**
 * Lays the context out as the image that its Dockerfile describes would have it, with a description of how it is built and
 * run.
 * @returns lines for the one who builds
 * @throws {FaasError} `invalid`, naming the line that cannot be followed
 */
export async function followDockerfile(
  context: string,
  buildArgs: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const instructions = parseDockerfile(await readFile(join(context, "Dockerfile"), "utf8"));
  const kinds = new Map<string, "file" | "folder">();
  for (const { path, kind } of await listFiles(context)) {
    if (kind !== "other") kinds.set(path.slice(context.length + 1), kind);
  }
  const list = (folder: string) =>
    [...kinds.keys()]
      .filter((path) => (dirname(path) === folder ? true : folder === "." && !path.includes("/")))
      .map((path) => basename(path));
  const kindOf = (path: string) => (path === "." ? "folder" : kinds.get(path));
  const plan = planDockerfile({ instructions, buildArgs, kindOf, list });

  // Beside the context and not below it: a copy of all must not hold itself.
  const source = `${context}.source`;
  await rename(context, source);
  await mkdir(context, { mode: 0o700 });
  for (const { from, to } of plan.copies) await copyInto(join(source, from), join(context, to));
  await rm(source, { recursive: true, force: true });
  for (const folder of plan.folders) await mkdir(join(context, folder), { recursive: true });
  const files: Record<string, string> = {
    ...Object.fromEntries(Object.entries(LISTEN_FILES).map(([name, text]) => [join(LISTEN_FOLDER, name), text])),
    ...(plan.start !== undefined && { [START_FILE]: plan.start }),
    ...(plan.script.length > 0 && { [INSTALL_FILE]: `${plan.script.join("\n")}\n` }),
    [DESCRIPTOR_FILE]: JSON.stringify({
      ...plan.descriptor,
      ...(plan.script.length > 0 && { install: ["sh", INSTALL_FILE] }),
    }),
  };
  for (const [path, text] of Object.entries(files)) await write(join(context, path), text);
  for (const path of plan.files) await write(join(context, path), "", "a");
  return ["following the Dockerfile without a container engine", ...plan.notes];
}

async function copyInto(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  if (!(await stat(from)).isDirectory()) return await cp(from, to);
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    await cp(join(from, name), join(to, name), { recursive: true });
  }
}

async function write(path: string, text: string, flag = "w"): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { flag });
}
