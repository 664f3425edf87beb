import type { Command } from "commander";

/** Flags of commands that speak to a gateway. */
export interface GatewayFlags {
  readonly gateway?: string;
  readonly tlsNoVerify?: boolean;
  readonly token?: string;
  readonly namespace?: string;
}

/** Flags of commands that read a stack file. */
export interface StackFlags {
  readonly yaml?: string;
  readonly filter?: string;
  readonly regex?: string;
  readonly envsubst?: boolean;
}

export function addGatewayOptions(command: Command): Command {
  return command
    .option("-g, --gateway <url>", "gateway URL, e.g. http://127.0.0.1:8080")
    .option("--tls-no-verify", "accept any TLS certificate")
    .option("-k, --token <token>", "token to send instead of stored credentials");
}

export function addNamespaceOption(command: Command): Command {
  return command.option("-n, --namespace <name>", "namespace of the function");
}

/** `-f` comes without its short form where a command needs the letter for itself. */
export function addStackOptions(command: Command, yamlFlags = "-f, --yaml <file>"): Command {
  return command
    .option(yamlFlags, "stack file, a path or URL (default: stack.yaml, then stack.yml)")
    .option("--filter <glob>", "only the functions whose name matches, e.g. 'web-*'")
    .option("--regex <pattern>", "only the functions whose name matches the expression")
    .option("--envsubst", "replace variables in the stack file by the environment (default)")
    .option("--no-envsubst", "leave variables in the stack file alone");
}

/** For flags that may be given more than once. */
export function collectValues(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
