import { cpSync, mkdirSync, mkdtempSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { ROOT } from "../support/platform.ts";

export interface Instruction {
  readonly name: string;
  readonly args: string;
}

export interface Stage {
  readonly from: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile; lines that go on are joined. */
export function parseDockerfile(path: string): Stage[] {
  const text = readFileSync(join(ROOT, path), "utf8")
    .replace(/^\s*#.*\n/gm, "")
    .replace(/\\\n/g, " ");
  const stages: { from: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const line of text.split("\n").filter((line) => line.trim() !== "")) {
    const [, name = "", args = ""] = /^(\w+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (name === "FROM") {
      const [from = "", , stage] = args.split(/\s+/);
      stages.push({ from, name: stage, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push({ name, args });
    }
  }
  return stages;
}

export interface Copy {
  readonly stage: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

export function copies({ instructions }: Stage): Copy[] {
  return instructions.flatMap(({ name, args }) => {
    if (name !== "COPY") return [];
    const words = args.split(/\s+/);
    const stage = /^--from=(.*)$/.exec(words[0] ?? "")?.[1];
    const paths = stage === undefined ? words : words.slice(1);
    return [{ stage, sources: paths.slice(0, -1), target: paths.at(-1) as string }];
  });
}

/** The stage that becomes the platform's image. */
export const PLATFORM = parseDockerfile("deploy/Dockerfile").at(-1) as Stage;

/** Arguments of the last instruction of a name in the platform's image, which counts; "" when it has none. */
export const instruction = (name: string) => PLATFORM.instructions.findLast((one) => one.name === name)?.args ?? "";

/** Program and arguments that every container of the platform begins with. */
export const entrypoint = () => JSON.parse(instruction("ENTRYPOINT")) as string[];

/** Variables that the image sets. */
export function imageVariables(): Readonly<Record<string, string>> {
  const words = PLATFORM.instructions.filter(({ name }) => name === "ENV").flatMap(({ args }) => args.split(/\s+/));
  return Object.fromEntries(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
}

/**
 * A new folder with what the platform's image has below its working folder, but what it copies elsewhere, and the
 * modules of this working copy.
 * @param linked false leaves an empty folder for the modules
 */
export function layOutImage({ linked = true } = {}): string {
  const image = mkdtempSync(join(tmpdir(), "faaslane-image-"));
  for (const { stage, sources, target } of copies(PLATFORM)) {
    if (target.startsWith("/")) continue;
    for (const source of sources) {
      const from = join(ROOT, stage === undefined ? source : source.replace("/faaslane/", ""));
      const to = join(image, target.endsWith("/") ? join(target, basename(source)) : target);
      mkdirSync(dirname(to), { recursive: true });
      if (target !== "node_modules") cpSync(from, to, { recursive: statSync(from).isDirectory() });
      else if (linked) symlinkSync(from, to);
      else mkdirSync(to);
    }
  }
  return image;
}
