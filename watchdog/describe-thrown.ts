/** Anything thrown, for the log: with its stack where it has one. Never throws, whatever it is. */
export function describeThrown(thrown: unknown): string {
  try {
    return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  } catch {
    return "something that cannot be printed"; // an object without a prototype, a getter that throws
  }
}
