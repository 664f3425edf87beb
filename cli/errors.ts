/** A failure the user can act on: its message is printed as it is, as one line on standard error. */
export class CliError extends Error {
  override readonly name = "CliError";
}
