import { Command } from "commander";
import { formatRoute, readRoute } from "../../contract/routes/parse-routes.ts";
import type { ListedRoute } from "../../contract/routes/requests.ts";
import { type GivenRoute, normalizeRoutes } from "../../contract/routes/route.ts";
import type { RoutesClient } from "../client/routes-client.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { formatTable } from "../table.ts";
import { connect } from "./connect.ts";
import { addVersionOptions, printJson, type VersionFlags } from "./connect-versions.ts";
import { readStackFile, selectedNamespace } from "./selection.ts";

/** `faaslane routes list|set|remove` */
export function routesCommand(io: Io): Command {
  const routes = new Command("routes");
  routes.addCommand(listCommand(io));
  routes.addCommand(setCommand(io));
  routes.addCommand(removeCommand(io));
  return routes;
}

function listCommand(io: Io): Command {
  const command = new Command("list")
    .description("domains and paths that lead to functions")
    .argument("[name]", "the function (default: all)");
  addVersionOptions(command);
  return command.action(async (name: string | undefined) => {
    const flags = command.optsWithGlobals<VersionFlags>();
    const { client, namespace } = await connectRoutes(io, name, flags);
    const all = await client.list(namespace);
    const routes = name === undefined ? all : all.filter((route) => route.function === name);
    if (flags.json) printJson(io, routes);
    else io.stdout.write(formatTable([["FUNCTION", "NAMESPACE", "ROUTE", "FROM"], ...routes.map(rowOf)]));
  });
}

function rowOf({ function: name, namespace, source = "", ...route }: ListedRoute): string[] {
  const [normal] = normalizeRoutes([route as GivenRoute]).routes;
  return [name, namespace, normal ? formatRoute(normal) : "", source];
}

function setCommand(io: Io): Command {
  const command = new Command("set")
    .description("give a function these routes and no others; a deploy that says something else holds in their place")
    .argument("<name>", "the function")
    .argument("<routes...>", "e.g. 'shop.example.com/cart/* @canary'; docs/routes.md has all that there may be");
  addVersionOptions(command);
  return command.action(async (name: string, texts: readonly string[]) => {
    const flags = command.optsWithGlobals<VersionFlags>();
    const given = texts.map((text) =>
      readRoute(text.trim(), (rule) => {
        throw new CliError(`${JSON.stringify(text)}: ${rule}`);
      }),
    );
    const { problems } = normalizeRoutes(given);
    if (problems.length > 0) throw new CliError(problems.join("; "));
    const { client, namespace } = await connectRoutes(io, name, flags);
    await client.set({ name, namespace }, given);
  });
}

function removeCommand(io: Io): Command {
  const command = new Command("remove")
    .description("take all routes from a function")
    .argument("<name>", "the function");
  addVersionOptions(command);
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<VersionFlags>();
    const { client, namespace } = await connectRoutes(io, name, flags);
    await client.remove({ name, namespace });
  });
}

async function connectRoutes(
  io: Io,
  name: string | undefined,
  flags: VersionFlags,
): Promise<{ readonly client: RoutesClient; readonly namespace: string | undefined }> {
  const stack = await readStackFile(io, flags);
  const namespace = name === undefined ? flags.namespace : selectedNamespace(name, flags.namespace, stack);
  const { RoutesClient } = await import("../client/routes-client.ts");
  const { client } = await connect(io, flags, { stackGateway: stack?.gateway });
  return { client: new RoutesClient(client), namespace };
}
