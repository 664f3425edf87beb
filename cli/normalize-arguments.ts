import type { Command, Option } from "commander";
import { CliError } from "./errors.ts";

/** What Go programs read as true and as false. */
const TRUE = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE = ["0", "f", "F", "false", "FALSE", "False"];
const INLINE = /^(--[^=]+|-[^-=])=(.*)$/s;

/**
 * A command line as scripts written for Go programs have it, in the forms that are parsed here: `--flag=true`,
 * `--flag=false` and their short forms for what is on or off, and `-x=value`, whose value begins behind the sign.
 * @param program its commands say which flags take a value
 * @throws {CliError} for a value that is neither true nor false where it has to be
 */
export function normalizeArguments(argv: readonly string[], program: Command): string[] {
  const normalized: string[] = [];
  let command = program;
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    if (word === "--") return [...normalized, ...argv.slice(index)];
    if (!word.startsWith("-") || word === "-") {
      command = command.commands.find((one) => one.name() === word || one.aliases().includes(word)) ?? command;
      normalized.push(word);
      continue;
    }
    const [, flag = word, value] = INLINE.exec(word) ?? [];
    const option = command.options.find(({ short, long }) => short === flag || long === flag);
    if (option === undefined || value === undefined) {
      normalized.push(word);
      // What follows is its value, whatever that looks like.
      if (option?.required && index + 1 < argv.length) normalized.push(argv[++index] as string);
    } else if (option.isBoolean() || option.negate) normalized.push(...asSwitch(option, flag, value, command));
    else if (flag === option.long) normalized.push(word);
    else normalized.push(flag, value);
  }
  return normalized;
}

function asSwitch({ long }: Option, flag: string, value: string, { options }: Command): string[] {
  if (TRUE.includes(value)) return [flag];
  if (!FALSE.includes(value)) throw new CliError(`${flag} must be true or false, not ${JSON.stringify(value)}`);
  const off = long?.replace(/^--/, "--no-");
  return off !== undefined && options.some((option) => option.long === off) ? [off] : [];
}
