import type { Command } from "commander";
import type { EventFilterFlags, EventsClient } from "../client/events-client.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, collectValues, type GatewayFlags } from "./options.ts";

/** Flags of commands about events and what is declared for them. */
export interface EventGatewayFlags extends GatewayFlags {
  readonly json?: boolean;
}

/** Which events. */
export interface EventSelectionFlags extends EventGatewayFlags {
  readonly broker?: string;
  readonly id?: string;
  readonly source?: string;
  readonly type?: string;
  readonly trigger?: string;
  readonly function?: string;
  readonly state?: readonly string[];
  readonly since?: string;
  readonly until?: string;
}

/** The gateway is not taken from the stack file. */
export function addEventGatewayOptions(command: Command): Command {
  return addGatewayOptions(command).option("-n, --namespace <name>", "namespace of the events");
}

export function addEventSelection(command: Command): Command {
  return command
    .option("--broker <name>", "only those of this broker")
    .option("--type <type>", "only those of this type")
    .option("--source <source>", "only those from this source")
    .option("--trigger <name>", "only those that this trigger has looked at: trigger/NAME, function/NAME, flow/…")
    .option("--function <name>", "the same for a function that subscribes by its annotations")
    .option(
      "--state <state>",
      "only those with a delivery in it: waiting, delivering, retrying, delivered, dead, dropped, or unmatched without any (repeatable)",
      collectValues,
    )
    .option("--since <time>", "that arrived at or after it: RFC 3339, Unix seconds, or a duration ago such as 1h")
    .option("--until <time>", "that arrived before it");
}

/** @throws {CliError} */
export function triggerOfFlags({ trigger, function: name }: EventSelectionFlags): string | undefined {
  if (trigger !== undefined && name !== undefined) throw new CliError("--trigger and --function do not go together");
  return name === undefined ? trigger : `function/${name}`;
}

/** `a,b` and repeated flags mean the same. */
export function statesOfFlags({ state }: EventSelectionFlags): string[] | undefined {
  return state?.flatMap((text) => text.split(",")).map((text) => text.trim());
}

/** The parameters that flags mean. @throws {CliError} */
export function eventFilterOf(flags: EventSelectionFlags): EventFilterFlags {
  const { namespace, broker, id, source, type, since, until } = flags;
  const trigger = triggerOfFlags(flags);
  return { namespace, broker, id, source, type, trigger, state: statesOfFlags(flags)?.join(","), since, until };
}

export async function connectEvents(io: Io, flags: GatewayFlags): Promise<EventsClient> {
  const { EventsClient } = await import("../client/events-client.ts");
  const { client } = await connect(io, flags);
  return new EventsClient(client);
}
