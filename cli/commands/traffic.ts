import { Command } from "commander";
import { sleep } from "../../kit/sleep.ts";
import { GatewayError } from "../client/gateway-error.ts";
import type { NamedFunction, VersionsClient } from "../client/versions-client.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { formatTargets } from "../versions/format.ts";
import { applyTraffic } from "../versions/traffic-arguments.ts";
import { addVersionOptions, connectVersions, printJson, type VersionFlags } from "./connect-versions.ts";
import { collectValues } from "./options.ts";

interface Flags extends VersionFlags {
  readonly tag?: readonly string[];
  readonly untag?: readonly string[];
  readonly reset?: boolean;
}

const EVERY_MS = 500;

/** `faaslane traffic NAME [v6=90 latest=10]` */
export function trafficCommand(io: Io): Command {
  const command = new Command("traffic")
    .argument("<name>", "the function")
    .argument("[shares...]", "percent of the calls of each version, e.g. v6=90 latest=10; without any they stay")
    .option("--tag <name=version>", "call a version by a name of its own, e.g. canary=v7 (repeatable)", collectValues)
    .option("--untag <name>", "take such a name away (repeatable)", collectValues)
    .option("--reset", "all calls to the latest version, and no tags")
    .option("--reason <text>", "for the history")
    .option("--wait", "until each version that gets calls has a replica that is ready");
  addVersionOptions(command);
  return command.action(async (name: string, shares: readonly string[]) => {
    const flags = command.optsWithGlobals<Flags>();
    const { tag = [], untag = [], reset = false } = flags;
    const changes = shares.length + tag.length + untag.length > 0;
    if (reset && changes) throw new CliError("--reset goes without shares, --tag and --untag");
    const { client, fn } = await connectVersions(io, name, flags);
    const present = await client.traffic(fn);
    if (changes || reset) {
      const targets = reset ? [] : applyTraffic(present.targets, { shares, tags: tag, untag });
      const { generation } = present;
      await client
        .setTraffic(fn, { generation, targets, ...(flags.reason && { reason: flags.reason }) })
        .catch(explain);
    }
    if (flags.wait) await untilReady(client, fn, io.signal);
    const { targets, generation } = changes || reset ? await client.traffic(fn) : present;
    if (flags.json) printJson(io, { generation, targets });
    else io.stdout.write(formatTargets(targets));
  });
}

function explain(error: unknown): never {
  if (!(error instanceof GatewayError) || error.kind !== "conflict") throw error;
  throw new CliError(`${error.message}; look at it with \`faaslane traffic\` and try again`, { cause: error });
}

/** Waits until each version with a share has a ready replica. */
export async function untilReady(
  client: Pick<VersionsClient, "versions">,
  fn: NamedFunction,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    const { versions } = await client.versions(fn);
    const waits = versions.some(
      ({ share, replicas, availableReplicas }) => share > 0 && replicas > 0 && availableReplicas === 0,
    );
    if (!waits) return;
    await sleep(EVERY_MS, signal);
    if (signal?.aborted) return;
  }
}
