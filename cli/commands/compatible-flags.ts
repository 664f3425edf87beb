import { type Command, Option } from "commander";
import type { Io } from "../io.ts";

/** Flags of `faas-cli` without a meaning here, and why. They are taken, so that scripts go on running. */
const BUILD: Readonly<Record<string, string>> = {
  "--squash": "an image has one layer a step already",
  "--pull": "base images are not pulled by the client",
  "--build-label <key=value>": "images of the gateway's builder carry no labels",
  "--debug": "FAAS_DEBUG=1 shows requests",
  "--overwrite": "templates are not pulled unasked",
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

/** Adds the flags that mean nothing to a command, unless it has one of that name; help does not show them. */
export function addCompatibleFlags(command: Command, kinds: readonly (keyof typeof KINDS)[]): Command {
  for (const flags of kinds.flatMap((kind) => Object.keys(KINDS[kind]))) {
    const option = new Option(flags).hideHelp();
    if (!command.options.some(({ long }) => long === option.long)) command.addOption(option);
  }
  return command;
}

const KINDS = { build: BUILD, up: UP, deploy: DEPLOY };

/** Says which of the flags given mean nothing. */
export function noteMeaningless({ stderr }: Pick<Io, "stderr">, command: Command): void {
  for (const [flags, why] of Object.entries({ ...BUILD, ...UP, ...DEPLOY })) {
    const option = new Option(flags);
    const known = command.options.find(({ long, hidden }) => long === option.long && hidden);
    if (known && command.getOptionValueSource(known.attributeName()) === "cli") {
      stderr.write(`Note: ${option.long} means nothing here: ${why}\n`);
    }
  }
}
