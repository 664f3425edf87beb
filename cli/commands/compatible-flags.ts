import { type Command, Option } from "commander";
import type { Io } from "../io.ts";

/** Flags of `faas-cli` without a meaning here, and why. They are taken, so that scripts go on running. */
const BUILD: Readonly<Record<string, string>> = {
  "--squash": "an image has one layer a step already",
  "--pull": "base images are not pulled by the client",
  "--build-label <key=value>": "images of the gateway's builder carry no labels",
  "--debug": "FAAS_DEBUG=1 shows requests",
  "--overwrite": "templates that are there stay as they are",
  "--no-overwrite": "templates that are there stay as they are",
};
const PUBLISH: Readonly<Record<string, string>> = {
  "--reset-qemu": "nothing is emulated to build for other platforms",
  "--builder-public-key <key>": "a remote builder gets no build secrets",
};
const UP: Readonly<Record<string, string>> = {
  "--publish": "the gateway keeps the images that it builds; `faaslane publish` pushes to a registry",
  "--platforms <list>": "the gateway builds for its own platform",
  "--extra-tag <tag>": "the gateway keeps the images that it builds",
  "--reset-qemu": "the gateway builds for its own platform",
  "--remote-builder <url>": "the gateway builds",
  "--payload-secret <file>": "the gateway builds, with the credentials of faaslane login",
  "--builder-public-key <key>": "the gateway builds, over its own connection",
};
const DEPLOY: Readonly<Record<string, string>> = { "--network <name>": "functions have no networks of their own" };

const KINDS = { build: BUILD, publish: PUBLISH, up: UP, deploy: DEPLOY };

/** Adds the flags that mean nothing to a command, unless it has one of that name; help does not show them. */
export function addCompatibleFlags(command: Command, kinds: readonly (keyof typeof KINDS)[]): Command {
  for (const [flags, why] of kinds.flatMap((kind) => Object.entries(KINDS[kind]))) {
    const option = new Option(flags, why).hideHelp();
    if (!command.options.some(({ long }) => long === option.long)) command.addOption(option);
  }
  return command;
}

/** Says which of the flags given mean nothing. */
export function noteMeaningless({ stderr }: Pick<Io, "stderr">, command: Command): void {
  const notes = new Map<string, string>();
  for (const option of command.options.filter(({ hidden }) => hidden)) {
    const name = option.attributeName();
    // A flag and its `--no-…` are one setting.
    if (notes.has(name) || command.getOptionValueSource(name) !== "cli") continue;
    notes.set(name, `${option.long} means nothing here: ${option.description}`);
  }
  for (const note of notes.values()) stderr.write(`Note: ${note}\n`);
}
