import { mkdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { DEFAULT_NAMESPACE } from "../../contract/paths.ts";
import { mergeBuildArgs } from "../build/build-args.ts";
import { buildFunctions } from "../build/build-functions.ts";
import { findBuildSecrets } from "../build/build-secrets.ts";
import { findTemplate } from "../build/templates.ts";
import { planDeployment } from "../deploy/plan-deployments.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { parseRecord } from "../key-values.ts";
import { findStackFile } from "../load-stack.ts";
import { containerCommand, shellLine } from "../local-run/container.ts";
import { type Engine, findEngine } from "../local-run/engine.ts";
import { runContainer, runWatched } from "../local-run/run.ts";
import type { Stack, StackFunction } from "../stack/types.ts";
import { partsOf } from "../watch/affected.ts";
import { addBuildOptions, type BuildFlags, buildSettingsOf } from "./build-options.ts";
import { addCompatibleFlags, noteMeaningless } from "./compatible-flags.ts";
import { deployPlanOf } from "./deploy-options.ts";
import { addNamespaceOption, addStackOptions, collectValues, type StackFlags } from "./options.ts";
import { chooseFunctions, readStackFile } from "./selection.ts";

interface Flags extends BuildFlags, StackFlags {
  readonly port: string;
  readonly network?: string;
  readonly env?: readonly string[];
  readonly print?: boolean;
  readonly watch?: boolean;
  readonly build?: boolean;
  readonly namespace?: string;
}

/** `faaslane local-run [NAME]`: one function in a container of this machine, without a gateway. */
export function localRunCommand(io: Io): Command {
  const command = new Command("local-run")
    .argument("[name]", "the function; needed when the stack file has several")
    .option("-p, --port <port>", "port of this machine; 0 for any that is free", "8080")
    .option("--network <name>", "network of the container engine")
    .option("-e, --env <key=value>", "environment variable (repeatable)", collectValues)
    .option("--print", "only print the command")
    .option("--watch", "go on: build and start it again when something of it changes, until Ctrl-C")
    .option("--build", "build the image first (default)")
    .option("--no-build", "run the image that is there")
    .option("--tag <mode>", "latest, sha, branch, describe or digest");
  addNamespaceOption(addStackOptions(addBuildOptions(command)));
  addCompatibleFlags(command, ["build"]);
  return command.action(async (name: string | undefined) => {
    const flags = command.optsWithGlobals<Flags>();
    noteMeaningless(io, command);
    if (!/^\d{1,5}$/.test(flags.port) || Number(flags.port) > 65535) {
      throw new CliError("--port must be a number from 0 to 65535");
    }
    const prepared = await prepare(io, flags, name);
    const engine = findEngine(io);
    if (flags.print) {
      io.stdout.write(`${shellLine([engine?.program ?? "docker", ...prepared.args])}\n`);
      return;
    }
    if (!engine) {
      throw new CliError(
        "local-run needs docker or podman, and neither works here; `faaslane start` runs functions without containers",
      );
    }
    const makeReady = async ({ fn, secretsFolder, ...request }: Prepared) => {
      if (secretsFolder) await checkSecrets(secretsFolder, fn.secrets);
      if (flags.build !== false) await buildImage(io, engine, { fn, flags, ...request });
    };
    await makeReady(prepared);
    if (!flags.watch) {
      await runContainer(io, engine, prepared.fn.name, prepared.args);
      return;
    }
    const settings = buildSettingsOf(io, flags, prepared.stack);
    await runWatched(io, engine, {
      name: prepared.fn.name,
      args: prepared.args,
      roots: watchedParts(io, prepared, flags),
      buildDir: resolve(io.cwd, settings.buildDir),
      again: async () => {
        const fresh = await prepare(io, flags, prepared.fn.name);
        await makeReady(fresh);
        return { args: fresh.args, roots: watchedParts(io, fresh, flags) };
      },
    });
  });
}

interface Prepared {
  readonly stack: Stack | undefined;
  readonly fn: StackFunction;
  readonly image: string;
  /** For the engine. */
  readonly args: readonly string[];
  readonly secretsFolder: string | undefined;
}

/** Reads all that the container is made of, but for the image. */
async function prepare(io: Io, flags: Flags, name: string | undefined): Promise<Prepared> {
  const stack = await readStackFile(io, flags);
  const fn = chooseOne(stack, flags, name);
  const { env: _, ...planFlags } = flags;
  const deployment = await planDeployment(fn, deployPlanOf(io, planFlags));
  const secretsFolder = fn.secrets.length > 0 ? join(io.cwd, ".secrets") : undefined;
  const { args, warnings } = containerCommand({
    name: fn.name,
    namespace: flags.namespace || fn.namespace || DEFAULT_NAMESPACE,
    image: deployment.image,
    environment: deployment.envVars ?? {},
    extra: parseRecord("--env", flags.env),
    process: deployment.envProcess,
    limits: fn.limits,
    readOnly: fn.readOnlyRootFilesystem,
    port: Number(flags.port),
    network: flags.network,
    secretsFolder,
  });
  for (const warning of warnings) io.stderr.write(`Warning: ${warning}\n`);
  return { stack, fn, image: deployment.image, args, secretsFolder };
}

/** The function's files, and the stack file where it is one of this machine. */
function watchedParts(io: Io, { fn, stack }: Prepared, flags: Flags): string[] {
  const { copyExtra, baseDir } = buildSettingsOf(io, flags, stack);
  const file = flags.yaml ?? findStackFile(io.cwd) ?? "stack.yaml";
  return [
    ...(/^https?:/i.test(file) ? [] : [resolve(io.cwd, file)]),
    ...partsOf(fn, { baseDir, copyExtra }),
    ...(fn.secrets.length > 0 ? [join(io.cwd, ".secrets")] : []),
  ];
}

function chooseOne(stack: Stack | undefined, flags: Flags, name: string | undefined): StackFunction {
  const functions = chooseFunctions(stack, flags);
  const matching = name === undefined ? functions : functions.filter((fn) => fn.name === name);
  const [first, ...others] = matching;
  const names = functions.map((fn) => fn.name).join(", ");
  if (!first) throw new CliError(`the stack file has no function ${name}; it has ${names}`);
  if (others.length > 0) throw new CliError(`say which function: faaslane local-run NAME, one of ${names}`);
  return first;
}

async function checkSecrets(folder: string, secrets: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const secret of secrets) {
    const isFile = await stat(join(folder, secret)).then(
      (stats) => stats.isFile(),
      () => false,
    );
    if (!isFile) throw new CliError(`the secret ${secret} is missing: put its value into .secrets/${secret}`);
  }
}

interface BuildRequest {
  readonly fn: StackFunction;
  readonly stack: Stack | undefined;
  readonly flags: Flags;
  readonly image: string;
}

/** By the Dockerfile of the template, as the engine builds it. */
async function buildImage(io: Io, engine: Engine, { fn, stack, flags, image }: BuildRequest): Promise<void> {
  const settings = { ...buildSettingsOf(io, { ...flags, shrinkwrap: true }, stack), shrinkwrap: true };
  const observer = { started: () => {}, log: () => {}, finished: () => {} };
  const builder = { build: () => neverUploads() };
  const { signal } = new AbortController();
  const [outcome] = await buildFunctions([fn], settings, { builder, observer, signal });
  if (outcome?.kind === "failed") throw outcome.error;
  if (outcome?.kind !== "laidOut") return;
  const isDockerfile = fn.lang?.toLowerCase() === "dockerfile";
  const template = isDockerfile ? undefined : await findTemplate(fn.lang ?? "", settings.templateDirs);
  const args = Object.entries(mergeBuildArgs(fn, settings, template)).flatMap(([key, value]) => [
    "--build-arg",
    `${key}=${value}`,
  ]);
  const secrets = [...(await findBuildSecrets(fn, io.cwd, settings.projectRoot))].map(
    ([id, path]) => `--secret=id=${id},src=${path}`,
  );
  await engine.run(["build", ...args, ...secrets, "--tag", image, outcome.folder]);
}

async function* neverUploads(): AsyncGenerator<never> {}
