import type { Command, Option } from "commander";

/** A flag as a shell completes it. */
export interface FlagNode {
  /** With its dashes, e.g. `--yaml`. */
  readonly long: string;
  /** With its dash, e.g. `-f`. */
  readonly short?: string;
  readonly takesValue: boolean;
  readonly summary: string;
}

/** A command as a shell completes it. */
export interface CommandNode {
  /** Words that lead to it, e.g. `queue list`; empty for the program itself. */
  readonly path: string;
  /** Other last words that mean the same. */
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly flags: readonly FlagNode[];
  /** Paths of the commands below it. */
  readonly children: readonly CommandNode[];
  /** Whether its argument is the name of a function that is deployed. */
  readonly takesFunction: boolean;
}

const TAKES_FUNCTION = [
  ...["describe", "invoke", "logs", "remove", "ready", "queue status", "queue list", "queue purge"],
  ...["versions", "traffic", "rollback", "promote", "abort"],
];

/** What there is to complete: every command below `command`, which has been loaded whole. */
export function describeTree(command: Command, path = ""): CommandNode {
  const shown = command.options.filter((option) => !option.hidden && option.long);
  return {
    path,
    aliases: command.aliases(),
    summary: command.description(),
    flags: [...shown.map(flagOf), { long: "--help", short: "-h", takesValue: false, summary: "show help" }],
    children: command.commands.map((child) => describeTree(child, `${path} ${child.name()}`.trim())),
    takesFunction: TAKES_FUNCTION.includes(path) || /^(scaling|rollout|routes) /.test(path),
  };
}

function flagOf({ long, short, description, required, optional }: Option): FlagNode {
  return { long: long ?? "", ...(short && { short }), takesValue: required || optional, summary: description };
}

/** All of them, parents first. */
export function flatten(node: CommandNode): CommandNode[] {
  return [node, ...node.children.flatMap(flatten)];
}

/** The last word of its path. */
export function nameOf({ path }: CommandNode): string {
  return path.slice(path.lastIndexOf(" ") + 1);
}
