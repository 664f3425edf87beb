import type { Command } from "commander";
import type { NamedFunction, VersionsClient } from "../client/versions-client.ts";
import type { Io } from "../io.ts";
import { connect } from "./connect.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { readStackFile, selectedNamespace } from "./selection.ts";

export interface VersionFlags extends GatewayFlags, StackFlags {
  readonly json?: boolean;
  readonly wait?: boolean;
  readonly reason?: string;
}

/** Flags of all commands about versions. */
export function addVersionOptions(command: Command): Command {
  command.option("-j, --json", "as JSON");
  return addNamespaceOption(addGatewayOptions(addStackOptions(command)));
}

export interface VersionsConnection {
  readonly client: VersionsClient;
  readonly fn: NamedFunction;
}

/** The gateway of flags or stack file, and the function that is meant. */
export async function connectVersions(io: Io, name: string, flags: VersionFlags): Promise<VersionsConnection> {
  const stack = await readStackFile(io, flags);
  const namespace = selectedNamespace(name, flags.namespace, stack);
  const { VersionsClient } = await import("../client/versions-client.ts");
  const { client } = await connect(io, flags, { stackGateway: stack?.gateway });
  return { client: new VersionsClient(client), fn: { name, namespace } };
}

export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
