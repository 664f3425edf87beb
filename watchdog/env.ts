export type Env = Readonly<Record<string, string | undefined>>;

/** Settings that are wrong; the message holds one line per variable. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** Names of the variables. */
  readonly variables: readonly string[];

  constructor(message: string, variables: readonly string[]) {
    super(message);
    this.variables = variables;
  }
}

export interface EnvReader {
  /** The parsed value; a missing or empty variable is a problem. */
  required<T>(name: string, parse: (text: string) => T): T;
  /** The parsed value, or undefined when the variable is missing or empty. */
  optional<T>(name: string, parse: (text: string) => T): T | undefined;
  /**
   * As `optional`, for variables of which OpenFaaS's watchdogs overlook what they cannot read.
   * @param otherwise what such a value stands for; a note tells of it
   */
  lenient<T>(name: string, parse: (text: string) => T, otherwise: T): T | undefined;
  /** What was overlooked, a line for each variable. */
  readonly notes: readonly string[];
}

/**
 * Reads settings, collecting problems instead of stopping at the first.
 * A copy of the platform's reader: the watchdog ships alone in every image.
 * @param shape is called once; values it gets after a problem are placeholders and never leave this function
 * @throws {ConfigError} naming every bad variable
 */
export function readEnv<T extends object>(env: Env, shape: (read: EnvReader) => T): Readonly<T> {
  const problems: string[] = [];
  const variables: string[] = [];
  const notes: string[] = [];
  const report = (name: string, problem: string) => {
    variables.push(name);
    problems.push(`${name}: ${problem}`);
  };
  const attempt = <V>(name: string, text: string, parse: (text: string) => V): V | undefined => {
    try {
      return parse(text);
    } catch (cause) {
      report(name, (cause as Error).message);
      return undefined;
    }
  };
  const value = shape({
    required: <V>(name: string, parse: (text: string) => V) => {
      const text = env[name] ?? "";
      if (text !== "") return attempt(name, text, parse) as V;
      report(name, "is required");
      return undefined as V;
    },
    optional: (name, parse) => {
      const text = env[name] ?? "";
      return text === "" ? undefined : attempt(name, text, parse);
    },
    lenient: (name, parse, otherwise) => {
      const text = env[name] ?? "";
      if (text === "") return undefined;
      try {
        return parse(text);
      } catch (cause) {
        notes.push(`${name}: ${(cause as Error).message}; it is taken for ${otherwise ?? "unset"}`);
        return otherwise;
      }
    },
    notes,
  });
  if (problems.length > 0) {
    throw new ConfigError(`bad settings:\n${problems.map((p) => `  ${p}`).join("\n")}`, variables);
  }
  return Object.freeze(value);
}
