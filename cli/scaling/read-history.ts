import { parseJson } from "../../contract/decode.ts";
import { decodeScalingSample } from "../../contract/scaling.ts";
import type { Sample } from "../../gateway/core/scaling/sample.ts";
import { CliError } from "../errors.ts";

/** Longest time that is replayed; a history holds a few hours. */
const MAX_SPAN_MS = 7 * 24 * 3600_000;

/**
 * A recorded history, NDJSON, oldest first.
 * @throws {CliError} naming the line that is none, or when there is nothing to replay
 */
export function parseHistory(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const sample = parseLine(line, i + 1);
    const before = samples.at(-1);
    if (before && sample.t <= before.t)
      throw new CliError(`line ${i + 1} of the history is not later than the one before`);
    samples.push(sample);
  }
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) throw new CliError("the history is empty: nothing was recorded in that time");
  if (last.t - first.t > MAX_SPAN_MS) throw new CliError("the history spans more than 7 days");
  return samples;
}

function parseLine(line: string, number: number): Sample {
  try {
    const { cpu, custom, ...facts } = decodeScalingSample(parseJson(line, "sample"));
    return { ...facts, ...(cpu !== undefined && { cpu }), ...(custom !== undefined && { custom }) };
  } catch (cause) {
    const { cause: inner, message } = cause as Error;
    const why = inner instanceof SyntaxError ? "it is not JSON" : message;
    throw new CliError(`line ${number} of the history: ${why}`, { cause });
  }
}
