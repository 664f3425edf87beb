import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testNeeding } from "./needing.ts";
import { ROOT } from "./platform.ts";

/** Why nothing is compared with what the original programs answered; undefined when the recordings are here. */
export const noRecordings: string | undefined = existsSync(join(ROOT, "../shared/recordings"))
  ? undefined
  : "the recordings of the original programs are not on this machine";

/**
 * A file of the recordings of the original programs, which lie beside the project where it is developed and are not
 * part of it; undefined, with a printed reason, where they are missing.
 */
export function readRecording(name: string): string | undefined {
  const path = join(ROOT, "../shared/recordings", name);
  if (existsSync(path)) return readFileSync(path, "utf8");
  return undefined;
}

/** `test`, or its skipping form when the recording is missing. */
export function testWith(recording: unknown): ReturnType<typeof testNeeding> {
  return testNeeding(recording === undefined ? noRecordings : undefined);
}
