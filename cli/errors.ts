/** A failure the user can act on: its message is printed as it is, as one line on standard error. */
export class CliError extends Error {
  override readonly name: string = "CliError";
}

/** Ends a command whose failures have all been told already. */
export class SilentFailure extends CliError {
  override readonly name = "SilentFailure";
  /** What the command line ends with. */
  readonly exitCode: number;
  constructor(exitCode = 1) {
    super();
    this.exitCode = exitCode;
  }
}

/** What to do about a name that is not known. */
export const LIST_SHOWS = "`faaslane list` shows what is deployed";

/** Anything thrown, as one line. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").join(" ");
}
