import type { Command } from "commander";
import type { StackFunction } from "../stack/types.ts";
import { functionOfFlags } from "./selection.ts";

/** Flags that say of a function how it runs, where no stack file does. */
export interface RunFlags {
  readonly fprocess?: string;
  readonly memoryLimit?: string;
  readonly memoryRequest?: string;
  readonly cpuLimit?: string;
  readonly cpuRequest?: string;
}

/** Flags that describe a function without a stack file. */
export interface FunctionFlags extends RunFlags {
  readonly yaml?: string;
  readonly image?: string;
  readonly name?: string;
  readonly lang?: string;
  readonly handler?: string;
}

export function addRunOptions(command: Command): Command {
  return command
    .option("--fprocess <command>", "its process")
    .option("--memory-limit <quantity>", "e.g. 128Mi")
    .option("--memory-request <quantity>", "e.g. 64Mi")
    .option("--cpu-limit <quantity>", "e.g. 100m")
    .option("--cpu-request <quantity>", "e.g. 50m");
}

export function addFunctionOptions(command: Command): Command {
  return addRunOptions(
    command
      .option("--image <name>", "image of a function without a stack file")
      .option("--name <name>", "its name")
      .option("--lang <template>", "its template")
      .option("--handler <folder>", "its handler"),
  );
}

/**
 * The function that flags alone describe; undefined when they do not.
 * @param needed without which they mean the stack file
 */
export function functionFromFlags(
  flags: FunctionFlags,
  needed: readonly ("image" | "name" | "handler")[],
): StackFunction | undefined {
  const { yaml, name, image, lang, handler } = flags;
  if (yaml || !name || needed.some((field) => !flags[field])) return undefined;
  return functionOfFlags(name, {
    ...(image && { image }),
    ...(lang && { lang }),
    ...(handler && { handler }),
    ...runFieldsOf(flags),
  });
}

/** What flags say of how a function runs. */
export function runFieldsOf(flags: RunFlags): Partial<Pick<StackFunction, "fprocess" | "limits" | "requests">> {
  const { fprocess } = flags;
  return {
    ...(fprocess && { fprocess }),
    limits: resources(flags.memoryLimit, flags.cpuLimit),
    requests: resources(flags.memoryRequest, flags.cpuRequest),
  };
}

function resources(memory: string | undefined, cpu: string | undefined) {
  return { ...(memory && { memory }), ...(cpu && { cpu }) };
}
