import { Command } from "commander";
import type { ContextBuilder } from "../build/build-functions.ts";
import { SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { JsonReport } from "../json-report.ts";
import { chooseBuilder } from "../publish/choose-builder.ts";
import { parseBuilder } from "../publish/engine-builder.ts";
import {
  addBuildOptions,
  type BuildFlags,
  buildSettingsOf,
  buildWithProgress,
  JSON_OPTION,
  SHRINKWRAP_OPTION,
} from "./build-options.ts";
import { addCompatibleFlags, noteMeaningless } from "./compatible-flags.ts";
import { addStackOptions, collectValues, type StackFlags } from "./options.ts";
import { reportFailures } from "./report-failures.ts";
import { chooseFunctions, readStackFile } from "./selection.ts";

interface Flags extends BuildFlags, StackFlags {
  readonly platforms?: string;
  readonly insecureRegistry?: readonly string[];
  readonly watchdog?: readonly string[];
  readonly builder?: string;
  readonly remoteBuilder?: string;
  readonly payloadSecret?: string;
  readonly extraTag?: readonly string[];
}

/** `faaslane publish`: builds images on this machine, without a container engine where it can, and pushes them. */
export function publishCommand(io: Io): Command {
  const command = new Command("publish")
    .option(...JSON_OPTION)
    .option("--tag <mode>", "latest, sha, branch, describe or digest")
    .option("--extra-tag <tag>", "another tag for the images (repeatable)", collectValues)
    .option(...SHRINKWRAP_OPTION)
    .option("--platforms <list>", "platforms to build for, such as linux/amd64,linux/arm64; this machine's by default")
    .option(
      "--builder <name>",
      "who runs a Dockerfile's steps: auto (the first of these that is here), docker, podman, buildah, or none",
    )
    .option("--remote-builder <url>", "a builder that makes and pushes the images, such as http://builder:8080")
    .option("--payload-secret <file>", "what requests to the remote builder are signed with")
    .option("--insecure-registry <host>", "a registry to speak to without TLS (repeatable)", collectValues)
    .option(
      "--watchdog <file>",
      "the watchdog's executable, made elsewhere, for bases without Node (repeatable)",
      collectValues,
    );
  addStackOptions(addBuildOptions(command));
  addCompatibleFlags(command, ["build", "publish"]);
  return command.action(async () => {
    const flags = command.optsWithGlobals<Flags>();
    noteMeaningless(io, command);
    const stack = await readStackFile(io, flags);
    const functions = chooseFunctions(stack, flags);
    const plain = await builderOf(io, flags);
    const builder = flags.extraTag ? await withTags(io, plain, flags.extraTag, flags.insecureRegistry) : plain;
    const settings = buildSettingsOf(io, flags, stack);
    const report = flags.json ? new JsonReport(io) : undefined;
    const outcomes = await buildWithProgress(io, functions, settings, { builder, quiet: flags.quiet ?? false, report });
    for (const outcome of outcomes) report?.add(report.ofBuild(outcome));
    if (report?.end() ?? reportFailures(io, outcomes)) throw new SilentFailure();
    if (report) return;
    for (const outcome of outcomes) if (outcome.kind === "built") io.stdout.write(`${outcome.digest}\n`);
  });
}

async function withTags(io: Io, builder: ContextBuilder, tags: readonly string[], insecure: readonly string[] = []) {
  const { taggingBuilder } = await import("../publish/tagging-builder.ts");
  return await taggingBuilder(io, builder, { tags, insecure });
}

/** The variables are those of `faas-cli`. */
async function builderOf(io: Io, flags: Flags): Promise<ContextBuilder> {
  const platforms = (flags.platforms ?? "").split(",").filter((platform) => platform !== "");
  const url = flags.remoteBuilder ?? io.env.OPENFAAS_REMOTE_BUILDER;
  if (url) {
    const payloadSecret = flags.payloadSecret ?? io.env.OPENFAAS_PAYLOAD_SECRET;
    const { remoteBuilder } = await import("../publish/remote-builder.ts");
    return await remoteBuilder(io, { url, payloadSecret: payloadSecret || undefined, platforms });
  }
  return await chooseBuilder(io, parseBuilder(flags.builder ?? "auto"), {
    platforms,
    insecure: flags.insecureRegistry ?? [],
    watchdogs: flags.watchdog ?? [],
  });
}
