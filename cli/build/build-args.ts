import { CliError } from "../errors.ts";
import type { Template } from "../stack/template.ts";

const PACKAGES = "ADDITIONAL_PACKAGE";

/**
 * The build arguments of a function: those of the stack file under those of the flags, and `ADDITIONAL_PACKAGE` with
 * every package that a build option stands for or either of them names, sorted, each once.
 * @param template absent for `lang: dockerfile`, which has no options
 * @throws {CliError} for an option that the template does not know
 */
export function mergeBuildArgs(
  stack: { readonly buildArgs: Readonly<Record<string, string>>; readonly buildOptions: readonly string[] },
  flags: { readonly buildArgs: readonly (readonly [string, string])[]; readonly buildOptions: readonly string[] },
  template: Pick<Template, "buildOptions"> | undefined,
): Record<string, string> {
  const given = [...Object.entries(stack.buildArgs), ...flags.buildArgs];
  const options = [...new Set([...stack.buildOptions, ...flags.buildOptions])];
  const known = template?.buildOptions ?? new Map<string, readonly string[]>();
  const packages = options.flatMap((option) => {
    const names = [...known.keys()].join(", ") || "none";
    return (
      known.get(option) ??
      refuse(`build option ${JSON.stringify(option)} is not known to the template (it has: ${names})`)
    );
  });
  const explicit = given.filter(([name]) => name === PACKAGES).flatMap(([, value]) => value.split(/\s+/));
  const all = [...new Set([...packages, ...explicit])].filter((name) => name !== "").sort();
  return { ...Object.fromEntries(given), [PACKAGES]: all.join(" ") };
}

function refuse(why: string): never {
  throw new CliError(why);
}
