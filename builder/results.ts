import type { BuildEvent } from "../contract/build.ts";

/** What OpenFaaS's clients read: of each line of a stream, or of the one answer. */
export interface BuildResult {
  readonly log: readonly string[];
  readonly image: string;
  readonly status: "in_progress" | "success" | "failed";
  readonly error?: string;
  /** In seconds; of the last one. */
  readonly duration?: number;
}

/** Their scanner takes lines of 64 KiB, which JSON makes of text of a sixth of that at worst. */
const MAX_LINE_CHARACTERS = 8 * 1024;

/**
 * An event as results, each short enough for a line.
 * @param seconds since the build began
 */
export function* resultsOf(event: BuildEvent, image: string, seconds: number): Generator<BuildResult> {
  if (event.status === "success") {
    yield { log: [], image: event.image, status: "success", duration: seconds };
    return;
  }
  if (event.status === "failed") {
    yield { log: [], image, status: "failed", error: event.error.slice(0, MAX_LINE_CHARACTERS), duration: seconds };
    return;
  }
  let log: string[] = [];
  let characters = 0;
  for (const line of event.log) {
    if (log.length > 0 && characters + line.length > MAX_LINE_CHARACTERS) {
      yield { log, image, status: "in_progress" };
      [log, characters] = [[], 0];
    }
    log.push(line);
    characters += line.length;
  }
  yield { log, image, status: "in_progress" };
}
