import { Command } from "commander";
import { CliError, describeError, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { connect } from "./connect.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { chooseFunctions, namespaceOf, readStackFile } from "./selection.ts";

interface Flags extends GatewayFlags, StackFlags {}

/** `faaslane remove [NAME]`: one function, or all of the stack file that match. */
export function removeCommand(io: Io): Command {
  const command = new Command("remove").argument("[name]", "the function (default: those of the stack file)");
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  return command.action(async (name: string | undefined) => {
    const flags = command.optsWithGlobals<Flags>();
    const stack = await readStackFile(io, flags);
    const names = name === undefined ? chooseFunctions(stack, flags, "a name").map((fn) => fn.name) : [name];
    const { client } = await connect(io, flags, { stackGateway: stack?.gateway });

    const failures: string[] = [];
    for (const target of names) {
      io.stdout.write(`Deleting: ${target}.\n`);
      try {
        const answer = await client.removeFunction(target, namespaceOf(target, flags.namespace, stack));
        if ([200, 201, 202].includes(answer.status)) {
          io.stdout.write("Removing old function.\n");
        } else if (answer.status === 404 && name === undefined) {
          // Of a whole stack, some may never have been deployed.
          io.stdout.write("No existing function to remove\n");
        } else {
          const said = answer.status === 404 ? "No existing function to remove" : answer.text.trim();
          throw new CliError(answer.status === 404 ? said : `the gateway answered ${answer.status}: ${said}`);
        }
      } catch (error) {
        failures.push(`${target}: ${describeError(error)}`);
      }
    }
    for (const failure of failures) io.stderr.write(`Error: ${failure}\n`);
    if (failures.length > 0) throw new SilentFailure();
  });
}
