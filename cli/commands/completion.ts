import { Command } from "commander";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";

/**
 * `faaslane completion SHELL`: a script that makes the shell complete commands, flags and names of functions.
 * @param loadProgram the whole program, every command loaded
 */
export function completionCommand(io: Io, loadProgram: () => Promise<Command>): Command {
  const command = new Command("completion")
    .argument("[shell]", "bash, zsh or fish")
    .option("--shell <shell>", "the same");
  return command.action(async (argument: string | undefined) => {
    const { completionScript, SHELLS } = await import("../completion/scripts.ts");
    const wanted = argument ?? command.opts<{ shell?: string }>().shell;
    const shell = SHELLS.find((known) => known === wanted);
    if (!shell) throw new CliError(`say which shell: faaslane completion ${SHELLS.join("|")}`);
    const { describeTree } = await import("../completion/describe-tree.ts");
    io.stdout.write(completionScript(shell, describeTree(await loadProgram())));
  });
}
