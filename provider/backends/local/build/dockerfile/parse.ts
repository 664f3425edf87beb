import { FaasError } from "../../../../../contract/errors.ts";

/** One instruction of a Dockerfile. */
export interface Instruction {
  /** Where it begins, from 1. */
  readonly line: number;
  /** In upper case. */
  readonly name: string;
  /** Its `--name=value`s. */
  readonly flags: Readonly<Record<string, string>>;
  /** What follows them, in one line. */
  readonly text: string;
  /** The same as a list, where it is written as one. */
  readonly list: readonly string[] | undefined;
}

const MAX_BYTES = 64 * 1024;
const MAX_INSTRUCTIONS = 500;

/** @throws {FaasError} `invalid`, naming the line */
export function parseDockerfile(text: string): Instruction[] {
  if (text.length > MAX_BYTES) throw new FaasError("invalid", `Dockerfile: is larger than ${MAX_BYTES} bytes`);
  const instructions: Instruction[] = [];
  let [started, begun] = [0, ""];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(raw)) continue;
    if (begun === "") started = index + 1;
    if (/\\\s*$/.test(raw)) {
      begun += `${raw.replace(/\\\s*$/, "")} `;
      continue;
    }
    instructions.push(parseInstruction(begun + raw, started));
    begun = "";
    if (instructions.length > MAX_INSTRUCTIONS) {
      throw new FaasError("invalid", `Dockerfile: has more than ${MAX_INSTRUCTIONS} instructions`);
    }
  }
  return instructions;
}

function parseInstruction(text: string, line: number): Instruction {
  const [, name = "", rest = ""] = /^\s*(\S+)\s*(.*?)\s*$/.exec(text) ?? [];
  const flags: Record<string, string> = {};
  let remains = rest;
  for (let found = FLAG.exec(remains); found !== null; found = FLAG.exec(remains)) {
    flags[found[1] as string] = found[2] ?? "";
    remains = remains.slice(found[0].length);
  }
  return { line, name: name.toUpperCase(), flags, text: remains, list: parseList(remains) };
}

const FLAG = /^--([a-z]+)(?:=(\S*))?\s+/;

function parseList(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Words as a shell splits them; undefined where it would do more than that. */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (const part of text.matchAll(/'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|(\s+)|([^\s'"\\]+)|(.)/gs)) {
    const [, single, double, escaped, blank, plain, stray] = part;
    if (stray !== undefined) return undefined;
    if (blank !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (plain !== undefined && /[`|&;<>()]/.test(plain)) return undefined;
    word = (word ?? "") + (single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? plain ?? "");
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** `$NAME`, `${NAME}`, `${NAME:-text}` and `${NAME:+text}`; what is not set is empty. */
export function expand(text: string, values: ReadonlyMap<string, string>): string {
  const reference = /\\\$|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::([-+])([^{}]*))?\})/g;
  return text.replace(reference, (all, plain?: string, braced?: string, operator?: string, word = "") => {
    if (all === "\\$") return "$";
    const value = values.get(plain ?? braced ?? "") ?? "";
    if (operator === "-") return value === "" ? word : value;
    return operator === "+" ? (value === "" ? "" : word) : value;
  });
}
