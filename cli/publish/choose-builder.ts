import { readDescriptor } from "../../kit/read-descriptor.ts";
import type { ContextBuilder } from "../build/build-functions.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { type EngineName, engineBuilder, findBuildEngine } from "./engine-builder.ts";
import { type RegistryBuilderSettings, registryBuilder } from "./registry-builder.ts";

/**
 * Who makes the images: with `auto` ourselves, as far as a context says how, and for the steps of other Dockerfiles the
 * first engine that this machine has; else who is named, `none` meaning ourselves alone.
 * @throws {CliError} when the one that is named does not work
 */
export async function chooseBuilder(
  io: Pick<Io, "env" | "home" | "cwd" | "sourceRoot">,
  wanted: "auto" | "none" | EngineName,
  settings: RegistryBuilderSettings,
): Promise<ContextBuilder> {
  if (wanted !== "auto" && wanted !== "none") {
    if (findBuildEngine(io, [wanted])) return engineBuilder(io, wanted, settings);
    throw new CliError(`--builder: ${wanted} is not here, or does not answer \`${wanted} version\``);
  }
  const own = await registryBuilder(io, settings);
  if (wanted === "none") return own;
  let found: EngineName | "none" | undefined;
  return {
    takesSecrets: true,
    async *build(folder, config, signal, secrets) {
      const image = await readDescriptor(folder).then(
        (descriptor) => descriptor.image,
        () => undefined, // what is wrong with it is for the builder to say
      );
      if (!image) found ??= findBuildEngine(io) ?? "none";
      const builder = image || found === undefined || found === "none" ? own : engineBuilder(io, found, settings);
      yield* builder.build(folder, config, signal, secrets);
    },
  };
}
