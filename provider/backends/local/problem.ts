/** How a replica's process ended. */
export type ReplicaEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: string }
  | { readonly kind: "silent"; readonly afterMs: number }
  | { readonly kind: "hung"; readonly afterMs: number }
  /** `limit` as it was deployed, if there is one. */
  | { readonly kind: "outOfMemory"; readonly limit: string | undefined }
  | { readonly kind: "tooMany"; readonly processes: number }
  /** It wrote more files than `limitBytes`. */
  | { readonly kind: "tooLarge"; readonly limitBytes: number }
  | { readonly kind: "failed"; readonly message: string };

const MAX_OUTPUT_CHARS = 200;
const TELLING = /error|exception|panic|fatal|cannot|can't|not found|no such|denied|refused|invalid|missing/i;

/** The line of `recent` output that says most about why a process ended; undefined when it said nothing. */
export function tellingLine(recent: readonly string[]): string | undefined {
  // Runtimes end a crash with a stack or their version; the message is further up, and never indented.
  return recent.findLast((line) => TELLING.test(line) && !/^\s/.test(line)) ?? recent.at(-1);
}

/** What V8 says of a heap that has no room left. */
const HEAP_IS_FULL = /JavaScript heap out of memory/;

/** How a process ended, seen in the light of what it said last. */
export function readEnd(end: ReplicaEnd, recent: readonly string[]): ReplicaEnd {
  const isFull = end.kind === "killed" && recent.some((line) => HEAP_IS_FULL.test(line));
  return isFull ? { kind: "outOfMemory", limit: undefined } : end;
}

function describeEnd(end: ReplicaEnd): string {
  switch (end.kind) {
    case "exited":
      return `exited with code ${end.code}`;
    case "killed":
      return `was killed by ${end.signal}`;
    case "silent":
      return `did not start listening within ${end.afterMs / 1000} s`;
    case "hung":
      return `did not pass its health check for ${Math.round(end.afterMs / 1000)} s`;
    case "outOfMemory":
      return end.limit
        ? `OOMKilled, used more than its limit of ${end.limit} of memory`
        : "OOMKilled, its heap was full";
    case "tooLarge":
      return `was killed, wrote more than ${Math.round(end.limitBytes / 2 ** 20)} MiB of files`;
    case "tooMany":
      return `was killed, had more than ${end.processes} processes`;
    case "failed":
      return end.message;
  }
}

/** What anybody may know of how a process ended and how often by now: nothing that it or the system said. */
export function describeKind(end: ReplicaEnd, restarts: number): string {
  return withRestarts(end.kind === "failed" ? "could not be started" : describeEnd(end), restarts);
}

function withRestarts(text: string, restarts: number): string {
  return restarts === 0 ? text : `${text}, ${restarts} restart${restarts === 1 ? "" : "s"}`;
}

/** One short line for those who run the function: how the process ended, how often by now, and what it said last. */
export function describeProblem(end: ReplicaEnd, restarts: number, output: string | undefined): string {
  const what = withRestarts(describeEnd(end), restarts);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const printable = output?.replace(/[\u0000-\u001f\u007f]+/g, " ").trim();
  return printable ? `${what}; last output: ${printable.slice(0, MAX_OUTPUT_CHARS)}` : what;
}
