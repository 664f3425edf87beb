import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { builderAt, templateDirsOf } from "../build/build-functions.ts";
import { parseDurationFlag } from "../duration.ts";
import { SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import type { StackFunction } from "../stack/types.ts";
import { imageFor, type Offer, platformOf } from "../store/function-store.ts";
import { buildWithProgress } from "./build-options.ts";
import { addCompatibleFlags } from "./compatible-flags.ts";
import { type Connection, connect } from "./connect.ts";
import { addDeployOptions, type DeployFlags, deployModeOf, deployPlanOf, deployWithReport } from "./deploy-options.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";
import { reportFailures } from "./report-failures.ts";
import { functionOfFlags } from "./selection.ts";
import { addRunOptions, type RunFlags, runFieldsOf } from "./single-function.ts";

export interface StoreDeployFlags extends DeployFlags, RunFlags, Omit<GatewayFlags, "namespace"> {
  readonly url?: string;
  readonly platform: string;
  readonly name?: string;
  readonly timeout: string;
}

export function addStoreDeployOptions(command: Command): Command {
  command
    .option("--name <name>", "another name for the function")
    .option("--timeout <duration>", "for each request but builds", "60s");
  addNamespaceOption(addGatewayOptions(addDeployOptions(addRunOptions(command))));
  return addCompatibleFlags(command, ["deploy"]);
}

/** Deploys a function of a store: one that comes with its sources is built first. @throws {CliError} */
export async function deployOffer(io: Io, offer: Offer, flags: StoreDeployFlags): Promise<void> {
  const mode = deployModeOf(flags);
  const fn = functionOf(offer, flags);
  const given = deployPlanOf(io, flags);
  // What the store says of labels and annotations wins over flags, as it does with OpenFaaS's client.
  const plan = {
    ...given,
    flags: {
      ...given.flags,
      labels: { ...given.flags.labels, ...offer.labels },
      annotations: { ...given.flags.annotations, ...offer.annotations },
    },
  };
  const connection = await connect(io, flags, { timeoutMs: parseDurationFlag("--timeout", flags.timeout) });
  const built = fn.handler === undefined ? [] : await build(io, fn, connection);
  if (reportFailures(io, built)) throw new SilentFailure();
  const outcomes = await deployWithReport(io, [fn], connection, { plan, mode });
  if (reportFailures(io, outcomes)) throw new SilentFailure();
}

function functionOf(offer: Offer, flags: StoreDeployFlags): StackFunction {
  const { platform, name } = flags;
  const { source, fprocess } = offer;
  return functionOfFlags(name || offer.name, {
    image: imageFor(offer, platformOf(platform)),
    environment: offer.environment ?? {},
    readOnlyRootFilesystem: offer.readOnlyRootFilesystem ?? false,
    ...(fprocess && { fprocess }),
    ...runFieldsOf(flags),
    ...source,
  });
}

async function build(io: Io, fn: StackFunction, { client }: Connection) {
  const buildDir = await mkdtemp(join(tmpdir(), "faaslane-store-"));
  try {
    const settings = {
      baseDir: dirname(fn.handler as string),
      buildDir,
      templateDirs: templateDirsOf(io.cwd, io.sourceRoot),
      copyExtra: [],
      shared: false,
      buildArgs: [],
      buildOptions: [],
      tag: "latest",
      parallel: 1,
      shrinkwrap: false,
    } as const;
    return await buildWithProgress(io, [fn], settings, { builder: builderAt(client), quiet: true });
  } finally {
    await rm(buildDir, { recursive: true, force: true });
  }
}
