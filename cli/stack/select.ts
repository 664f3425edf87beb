import { CliError } from "../errors.ts";
import { matchesStars } from "./glob.ts";
import type { StackFunction } from "./types.ts";

export interface Selection {
  /** Glob over the whole name in which only `*` is special. */
  readonly filter?: string;
  /** Regular expression that matches anywhere in the name. */
  readonly regex?: string;
}

/** @throws {CliError} when both are given, the expression is wrong, or nothing matches */
export function selectFunctions(
  functions: readonly StackFunction[],
  { filter = "", regex = "" }: Selection,
): readonly StackFunction[] {
  if (filter === "" && regex === "") return functions;
  if (filter !== "" && regex !== "") throw new CliError("--filter and --regex cannot be used together");
  const selected = functions.filter(
    filter === "" ? matching(compile(regex)) : ({ name }) => matchesStars(name, filter),
  );
  if (selected.length === 0) {
    const [flag, text] = filter === "" ? ["--regex", regex] : ["--filter", filter];
    throw new CliError(`no function of the stack file matches ${flag} ${JSON.stringify(text)}`);
  }
  return selected;
}

const matching =
  (pattern: RegExp) =>
  ({ name }: StackFunction) =>
    pattern.test(name);

function compile(source: string): RegExp {
  try {
    // Flags at the beginning, as RE2 has them.
    const [, flags = "", rest = source] = /^\(\?([ims]+)\)(.*)$/s.exec(source) ?? [];
    return new RegExp(rest, flags);
  } catch (cause) {
    throw new CliError(`--regex ${JSON.stringify(source)} is not a regular expression`, { cause });
  }
}
