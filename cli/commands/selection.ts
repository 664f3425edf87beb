import { parseVersionedName } from "../../contract/versions/version-name.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { loadStack } from "../load-stack.ts";
import { selectFunctions } from "../stack/select.ts";
import type { Stack, StackFunction, StackResource } from "../stack/types.ts";
import type { StackFlags } from "./options.ts";

/** The stack file that the flags mean, if there is one. @throws {CliError} */
export async function readStackFile(io: Io, flags: StackFlags): Promise<Stack | undefined> {
  const { yaml: file, envsubst = true } = flags;
  return await loadStack({ file, baseDir: io.cwd, env: io.env, envsubst });
}

/**
 * The functions a command is about.
 * @param otherwise flags that do without a stack file
 * @throws {CliError} when there is no stack file, or nothing in it matches
 */
export function chooseFunctions(
  stack: Stack | undefined,
  flags: StackFlags,
  otherwise?: string,
): readonly StackFunction[] {
  const hint = otherwise === undefined ? "" : `, or give ${otherwise}`;
  if (!stack) throw new CliError(`there is no stack.yaml or stack.yml here: name one with -f${hint}`);
  if (stack.functions.length === 0) throw new CliError("the stack file has no functions");
  return selectFunctions(stack.functions, flags);
}

/** Functions of a stack file, and what else it declares. */
export interface ChosenParts {
  readonly functions: readonly StackFunction[];
  /** Only where functions are not named one by one. */
  readonly resources: readonly StackResource[];
}

/**
 * What a command that deploys, compares or removes is about: as {@link chooseFunctions}, but a file may have no functions when it
 * declares something else.
 * @throws {CliError}
 */
export function chooseAll(stack: Stack | undefined, flags: StackFlags, otherwise?: string): ChosenParts {
  const resources = flags.filter || flags.regex ? [] : (stack?.resources ?? []);
  const alone = stack?.functions.length === 0 && resources.length > 0;
  return { functions: alone ? [] : chooseFunctions(stack, flags, otherwise), resources };
}

/** A function given by flags alone, as if it stood in a stack file. */
export function functionOfFlags(name: string, fields: Partial<Omit<StackFunction, "name">>): StackFunction {
  return {
    name,
    environment: {},
    environmentFiles: [],
    secrets: [],
    labels: {},
    annotations: {},
    constraints: [],
    limits: {},
    requests: {},
    readOnlyRootFilesystem: false,
    skipBuild: false,
    buildOptions: [],
    buildArgs: {},
    buildSecrets: {},
    ...fields,
  };
}

/**
 * The namespace of a named function: the flag's, else that of the stack file's entry.
 * @param name also with a version or tag, as in `hello@canary`
 */
export function selectedNamespace(
  name: string,
  flag: string | undefined,
  stack: Stack | undefined,
): string | undefined {
  const { name: bare } = parseVersionedName(name);
  return flag || stack?.functions.find((fn) => fn.name === bare)?.namespace;
}
