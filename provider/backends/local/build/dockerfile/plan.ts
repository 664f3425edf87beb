import { posix } from "node:path";
import type { Descriptor } from "../../../../../contract/descriptor.ts";
import { type Base, baseOf } from "./base-image.ts";
import { envOfServer, envOfWatchdog } from "./environment.ts";
import { expand, type Instruction, splitWords } from "./parse.ts";
import { refuse, refuseSteps } from "./refuse.ts";
import { decideSteps, PYTHON, PYTHON_PACKAGES, type Step } from "./run-steps.ts";
import { finalWorkdir, findStage, neededStages, readStages, type Stage } from "./stages.ts";

/** What a Dockerfile comes to where there is no container. */
export interface Plan {
  /** What becomes the artefact: paths below the context → paths below its root. In order; later ones win. */
  readonly copies: readonly { readonly from: string; readonly to: string }[];
  readonly folders: readonly string[];
  readonly files: readonly string[];
  /** Of the install step, `$ROOT` being the artefact; none when there is nothing to install. */
  readonly script: readonly string[];
  /** Of the program that serves, for `sh`; undefined when `fprocess` says it. */
  readonly start: string | undefined;
  readonly descriptor: Pick<Descriptor, "requires" | "env">;
  /** For the one who builds. */
  readonly notes: readonly string[];
}

export interface PlanInput {
  readonly instructions: readonly Instruction[];
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Whether a path of the context is a file or a folder; undefined when it is neither. */
  readonly kindOf: (path: string) => "file" | "folder" | undefined;
  /** Entries of a folder of the context. */
  readonly list: (folder: string) => readonly string[];
}

/** Where a container would have what is outside of the working directory. */
const ELSEWHERE = ".faaslane/root";
const PREAMBLE = ["set -eu", "ROOT=$(pwd)"];
const PYTHON_PREAMBLE = [
  ...PREAMBLE,
  `export PIP_ROOT_USER_ACTION=ignore PYTHONPATH="$ROOT/${PYTHON_PACKAGES}"`,
  "PYTHON=$(python3 -c 'import sys; print(sys.executable)')",
];

/**
 * Works out what to do for a Dockerfile without a container engine: base image, copies and known install steps.
 * @throws {FaasError} `invalid`, naming the line that cannot be followed, and what to add
 */
export function planDockerfile(input: PlanInput): Plan {
  return new Planner(input).plan();
}

class Planner {
  readonly #input: PlanInput;
  readonly #values = new Map<string, string>();
  readonly #env = new Map<string, string>();
  readonly #requires = new Set<string>();
  readonly #copies: { from: string; to: string }[] = [];
  readonly #folders: string[] = [];
  readonly #files: string[] = [];
  readonly #script: string[] = [];
  readonly #notes: string[] = [];
  #stages: Stage[] = [];
  #root = "/";
  #workdir = "/";
  #port: string | undefined;
  #command: Instruction | undefined;
  #entrypoint: Instruction | undefined;
  #watchdog: Base["watchdog"];

  constructor(input: PlanInput) {
    this.#input = input;
    const { buildArgs } = input;
    for (const [name, value] of [
      ["TARGETPLATFORM", "linux/amd64"],
      ["TARGETOS", "linux"],
      ...Object.entries(buildArgs),
    ]) {
      this.#values.set(name as string, value as string);
    }
  }

  plan(): Plan {
    const expandText = (text: string) => this.#expand(text);
    this.#stages = readStages(this.#input.instructions, expandText, (instruction) => this.#declare(instruction));
    const last = this.#stages.at(-1) ?? refuseSteps("has no FROM");
    const chain = neededStages(this.#stages);
    this.#root = finalWorkdir(last, expandText);
    for (const stage of chain) {
      for (const name of stage.base.requires) this.#requires.add(name);
      if (stage.base.watchdog) this.#watchdog ??= stage.base.watchdog;
      if (!stage.on) this.#workdir = "/";
      if (stage !== last) this.#command = this.#entrypoint = undefined;
      for (const instruction of stage.instructions) this.#follow(instruction);
    }
    return this.#finish();
  }

  #follow(instruction: Instruction): void {
    switch (instruction.name) {
      case "ARG":
        this.#declare(instruction);
        return;
      case "ENV":
        this.#setEnv(instruction);
        return;
      case "WORKDIR":
        this.#workdir = posix.resolve(this.#workdir, this.#expand(instruction.text));
        return;
      case "COPY":
      case "ADD":
        this.#copy(instruction);
        return;
      case "RUN":
        this.#run(instruction);
        return;
      case "EXPOSE":
        this.#port ??= /^\d+/.exec(this.#expand(instruction.text))?.[0];
        return;
      case "CMD":
        this.#command = instruction;
        return;
      case "ENTRYPOINT":
        this.#entrypoint = instruction;
        return;
      case "USER":
      case "LABEL":
      case "HEALTHCHECK":
      case "MAINTAINER":
      case "STOPSIGNAL":
      case "VOLUME":
      case "SHELL":
        return;
      default:
        refuse(instruction, `${instruction.name} cannot be followed without a container engine`);
    }
  }

  #declare({ text }: Instruction): void {
    for (const word of splitWords(text) ?? []) {
      const [name = "", value] = cut(word);
      if (!this.#values.has(name)) this.#values.set(name, value === undefined ? "" : this.#expand(value));
    }
  }

  #setEnv(instruction: Instruction): void {
    const { text } = instruction;
    const old = /^([A-Za-z_]\w*)\s+([^=].*)$/.exec(text);
    const words = old ? [`${old[1]}=${old[2]}`] : splitWords(text.replace(/([|&;<>()`])/g, "\\$1"));
    if (words === undefined) refuse(instruction, "ENV cannot be read");
    for (const word of words) {
      const [name = "", value = ""] = cut(word);
      // The programs are the machine's, wherever those are.
      if (name === "PATH") continue;
      const expanded = this.#expand(value);
      this.#values.set(name, expanded);
      this.#env.set(name, expanded);
    }
  }

  #copy(instruction: Instruction): void {
    const { flags, name } = instruction;
    const paths = instruction.list ?? splitWords(instruction.text);
    const all = paths?.map((path) => this.#expand(path)) ?? [];
    const to = all.pop();
    if (to === undefined || all.length === 0) refuse(instruction, `${name} cannot be read`);
    if (flags.from !== undefined) {
      this.#copyFromStage(instruction, all, to);
      return;
    }
    const target = posix.resolve(this.#workdir, to);
    const sources = all.flatMap((source) => this.#sources(instruction, source));
    const intoFolder = to.endsWith("/") || to === "." || sources.length > 1;
    for (const source of sources) {
      const isFolder = this.#input.kindOf(source) === "folder";
      const end = isFolder || !intoFolder ? target : posix.join(target, posix.basename(source));
      const known =
        !isFolder && !intoFolder && this.#isFolder(target) ? posix.join(target, posix.basename(source)) : end;
      this.#copies.push({ from: source, to: this.#place(known) });
    }
  }

  /** Whether the image would have a folder there already. */
  #isFolder(path: string): boolean {
    return path === this.#workdir || this.#folders.includes(this.#place(path));
  }

  #sources(instruction: Instruction, source: string): string[] {
    if (/^[a-z]+:\/\//i.test(source)) refuse(instruction, `${instruction.name} of a URL cannot be followed`);
    const path = posix.normalize(source.replace(/^\/+/, "")).replace(/\/$/, "");
    if (path.split("/").includes("..")) refuse(instruction, `${source} is outside of the build context`);
    if (!/[*?[]/.test(path)) {
      if (path !== "." && this.#input.kindOf(path) === undefined)
        refuse(instruction, `${source} is not in the build context`);
      return [path];
    }
    const folder = posix.dirname(path);
    const pattern = new RegExp(
      `^${posix
        .basename(path)
        .replace(/[.+^${}()|\\]/g, "\\$&")
        .replaceAll("*", "[^/]*")
        .replaceAll("?", "[^/]")}$`,
    );
    return this.#input
      .list(folder)
      .filter((name) => pattern.test(name))
      .map((name) => posix.join(folder, name));
  }

  /** All stages share one folder here, so that a path stands for the same file in each. */
  #copyFromStage(instruction: Instruction, sources: readonly string[], to: string): void {
    const from = instruction.flags.from ?? "";
    const stage = findStage(this.#stages, from);
    const base = stage ? stage.base : baseOf(this.#expand(from));
    if (base?.watchdog) {
      this.#watchdog ??= base.watchdog;
      return;
    }
    if (stage === undefined) refuse(instruction, `files of the image ${JSON.stringify(from)} are not here`);
    for (const source of sources) {
      // Python's packages have a folder of their own already.
      if (/\.local\/?$|site-packages\/?$|\/usr\/local\/bin\/?$/.test(source)) continue;
      const [a, b] = [this.#place(posix.resolve("/", source)), this.#place(posix.resolve(this.#workdir, to))];
      if (a === b) continue;
      const into = to.endsWith("/") || to === "." ? `${b}/` : b;
      this.#script.push(`mkdir -p "$ROOT"/${quote(posix.dirname(b))}`);
      this.#script.push(
        `if [ -d "$ROOT"/${quote(a)} ]; then mkdir -p "$ROOT"/${quote(b)} && cp -R "$ROOT"/${quote(a)}/. "$ROOT"/${quote(b)}; else cp "$ROOT"/${quote(a)} "$ROOT"/${quote(into)}; fi`,
      );
    }
  }

  #run(instruction: Instruction): void {
    const text = instruction.list ? instruction.list.map(quote).join(" ") : this.#expand(instruction.text);
    const steps = decideSteps(text);
    if ("unknown" in steps)
      refuse(instruction, `RUN ${steps.unknown.slice(0, 80)} cannot be done without a container engine`);
    for (const step of steps) this.#doStep(step);
  }

  #doStep(step: Step): void {
    switch (step.kind) {
      case "nothing":
        return;
      case "system":
        if (step.packages) this.#notes.push(`of the system, not installed: ${step.packages}`);
        return;
      case "folder":
        this.#folders.push(...step.paths.map((path) => this.#place(posix.resolve(this.#workdir, path))));
        return;
      case "file":
        this.#files.push(...step.paths.map((path) => this.#place(posix.resolve(this.#workdir, path))));
        return;
      case "run": {
        for (const name of step.requires) this.#requires.add(name);
        const words = step.words.map((word) => this.#placeWord(word));
        this.#script.push(`cd "$ROOT"/${quote(this.#place(this.#workdir))}`, words.join(" "));
      }
    }
  }

  /** A word of a command, quoted; a path of the image as one of the artefact. */
  #placeWord(word: string): string {
    if (word === PYTHON) return `"${PYTHON}"`;
    if (word.startsWith("$ROOT/")) return `"$ROOT"/${quote(word.slice(6))}`;
    return word.startsWith("/") && !word.startsWith("/bin/") && !word.startsWith("/usr/bin/env")
      ? `"$ROOT"/${quote(this.#place(posix.normalize(word)))}`
      : quote(word);
  }

  /** Where a path of the image is in the artefact, from its root. */
  #place(path: string): string {
    const inside = posix.relative(this.#root, path);
    if (inside === "") return ".";
    return inside.startsWith("..") ? posix.join(ELSEWHERE, path) : inside;
  }

  #expand(text: string): string {
    return expand(text, this.#values);
  }

  #finish(): Plan {
    const command = [this.#entrypoint, this.#command].flatMap((instruction) => (instruction ? [instruction] : []));
    const words = command.flatMap((instruction) => this.#wordsOf(instruction));
    const byWatchdog = words.some((word) => /(^|\/)fwatchdog$/.test(word));
    if (words.length === 0 && !byWatchdog) refuseSteps("has neither CMD nor ENTRYPOINT");
    const given = Object.fromEntries([...this.#env].map(([name, value]) => [name, this.#placeValue(value)]));
    const env = byWatchdog
      ? envOfWatchdog(given, this.#watchdog, this.#requires)
      : envOfServer(given, this.#port ?? "8080", this.#requires);
    const start = byWatchdog ? undefined : this.#startScript(words);
    const { length } = this.#script;
    return {
      copies: this.#copies,
      folders: this.#folders,
      files: this.#files,
      script: length === 0 ? [] : [...(this.#requires.has("python3") ? PYTHON_PREAMBLE : PREAMBLE), ...this.#script],
      start,
      descriptor: { requires: [...this.#requires], env },
      notes: this.#notes,
    };
  }

  #wordsOf(instruction: Instruction): string[] {
    if (instruction.list) return instruction.list.map((word) => this.#expand(word));
    // The shell form, variables and all, is a shell's to run.
    return splitWords(instruction.text) ?? ["sh", "-c", instruction.text];
  }

  #startScript(words: readonly string[]): string {
    const [program = "", ...args] = words;
    const name = /^python[\d.]*$/.test(posix.basename(program)) ? "python3" : program;
    const placed = [name, ...args].map((word) =>
      /\$/.test(word) ? `"${word.replace(/(["`\\])/g, "\\$1")}"` : this.#placeWord(word),
    );
    return ["ROOT=$(pwd)", `exec ${placed.join(" ")}`, ""].join("\n");
  }

  #placeValue(value: string): string {
    if (!value.startsWith("/") || this.#root === "/") return value;
    const inside = posix.relative(this.#root, value);
    return inside.startsWith("..") ? value : inside || ".";
  }
}

function cut(word: string): [name: string, value: string | undefined] {
  const mark = word.indexOf("=");
  return mark === -1 ? [word, undefined] : [word.slice(0, mark), word.slice(mark + 1)];
}

const quote = (word: string) => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
