import { join } from "node:path";
import { namesIn } from "../files.ts";

/** Log files of a replica are `<instance>.<number>.log`, numbered upwards; a replica keeps its last two. */
export interface Segment {
  readonly instance: string;
  readonly number: number;
  readonly file: string;
}

const SEGMENT = /^([a-z0-9-]+)\.(\d+)\.log$/;

export function segmentFile(folder: string, instance: string, number: number): string {
  return join(folder, `${instance}.${number}.log`);
}

/** The log files in `folder` by instance, oldest first. */
export async function listSegments(folder: string): Promise<Map<string, Segment[]>> {
  const found = new Map<string, Segment[]>();
  for (const name of await namesIn(folder)) {
    const [, instance, number] = SEGMENT.exec(name) ?? [];
    if (instance === undefined || number === undefined) continue;
    const segments = found.get(instance) ?? [];
    segments.push({ instance, number: Number(number), file: join(folder, name) });
    found.set(instance, segments);
  }
  for (const segments of found.values()) segments.sort((a, b) => a.number - b.number);
  return found;
}
