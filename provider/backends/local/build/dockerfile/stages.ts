import { posix } from "node:path";
import { type Base, baseOf } from "./base-image.ts";
import type { Instruction } from "./parse.ts";
import { refuse } from "./refuse.ts";

/** What is between one `FROM` and the next. */
export interface Stage {
  /** That of `AS`, else its number. */
  readonly name: string;
  readonly base: Base;
  readonly instructions: readonly Instruction[];
  /** The stage that it builds on; undefined when that is an image. */
  readonly on: Stage | undefined;
}

/** @param declare told of the arguments in front of the first stage */
export function readStages(
  instructions: readonly Instruction[],
  expand: (text: string) => string,
  declare: (instruction: Instruction) => void,
): Stage[] {
  const stages: Stage[] = [];
  let current: Instruction[] | undefined;
  for (const instruction of instructions) {
    if (instruction.name === "FROM") {
      current = [];
      stages.push(readFrom(instruction, expand(instruction.text), stages, current));
    } else if (current !== undefined) current.push(instruction);
    else if (instruction.name === "ARG") declare(instruction);
    else refuse(instruction, "must come after FROM");
  }
  return stages;
}

function readFrom(from: Instruction, text: string, before: readonly Stage[], instructions: Instruction[]): Stage {
  const [image = "", as, name = ""] = text.split(/\s+/);
  const on = before.find((stage) => stage.name === image);
  const base = on ? { requires: [] } : baseOf(image);
  if (base === undefined) refuse(from, `nothing is known of the image ${JSON.stringify(image)}`);
  return { name: as?.toLowerCase() === "as" ? name : String(before.length), base, instructions, on };
}

/** The stages that the last one is made from, in order: those that it builds on and those that it copies from. */
export function neededStages(stages: readonly Stage[]): Stage[] {
  const needed = new Set<Stage>();
  const visit = (stage: Stage | undefined) => {
    if (stage === undefined || needed.has(stage)) return;
    needed.add(stage);
    visit(stage.on);
    for (const { name, flags } of stage.instructions) {
      if (name === "COPY" && flags.from !== undefined) visit(findStage(stages, flags.from));
    }
  };
  visit(stages.at(-1));
  return stages.filter((stage) => needed.has(stage));
}

/** By name or number. */
export function findStage(stages: readonly Stage[], from: string): Stage | undefined {
  return stages.find(({ name }, index) => name === from || String(index) === from);
}

/** The folder that the image starts its program in. */
export function finalWorkdir(last: Stage, expand: (text: string) => string): string {
  const chain: Stage[] = [];
  for (let stage: Stage | undefined = last; stage; stage = stage.on) chain.unshift(stage);
  const folders = chain.flatMap(({ instructions }) => instructions).filter(({ name }) => name === "WORKDIR");
  return folders.reduce((folder, { text }) => posix.resolve(folder, expand(text)), "/");
}
