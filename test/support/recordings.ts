import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./platform.ts";

const FOLDER = join(ROOT, "../shared/recordings");

/** Why nothing is compared with what the original programs answered; undefined when the recordings are here. */
export const noRecordings: string | undefined = existsSync(FOLDER)
  ? undefined
  : "the recordings of the original programs are not on this machine";

/** A file of the recordings. They lie beside the project where it is developed and are not part of it. */
export function readRecording(name: string): string {
  return readFileSync(join(FOLDER, name), "utf8");
}
