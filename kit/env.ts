export type Env = Readonly<Record<string, string | undefined>>;

/** Settings that are wrong; the message holds one line per variable. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

export interface EnvReader {
  /** The parsed value; a missing or empty variable is a problem. */
  required<T>(name: string, parse: (text: string) => T): T;
  /** The parsed value, or undefined when the variable is missing or empty. */
  optional<T>(name: string, parse: (text: string) => T): T | undefined;
  /** All that have been asked for; it grows as more are. */
  readonly seen: readonly SeenVariable[];
}

/** A variable that was asked for. */
export interface SeenVariable {
  readonly name: string;
  /** As it was set; absent where it was not. */
  readonly text?: string;
}

/**
 * Reads settings from an environment, collecting problems instead of stopping at the first.
 * @param shape is called once; values it gets after a problem are placeholders and never leave this function
 * @throws {ConfigError} naming every bad variable
 */
export function readEnv<T extends object>(env: Env, shape: (read: EnvReader) => T): Readonly<T> {
  const problems: string[] = [];
  const attempt = <V>(name: string, text: string, parse: (text: string) => V): V | undefined => {
    try {
      return parse(text);
    } catch (cause) {
      problems.push(`${name}: ${(cause as Error).message}`);
      return undefined;
    }
  };
  const seen: SeenVariable[] = [];
  const textOf = (name: string): string => {
    const text = env[name] ?? "";
    if (!seen.some((variable) => variable.name === name)) seen.push({ name, ...(text !== "" && { text }) });
    return text;
  };
  const value = shape({
    seen,
    required: <V>(name: string, parse: (text: string) => V) => {
      const text = textOf(name);
      if (text !== "") return attempt(name, text, parse) as V;
      problems.push(`${name}: is required`);
      return undefined as V;
    },
    optional: (name, parse) => {
      const text = textOf(name);
      return text === "" ? undefined : attempt(name, text, parse);
    },
  });
  if (problems.length > 0) throw new ConfigError(`bad settings:\n${problems.map((p) => `  ${p}`).join("\n")}`);
  return Object.freeze(value);
}
