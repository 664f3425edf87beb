import { StringDecoder } from "node:string_decoder";

/** Longer lines are shown in pieces. */
const MAX_LINE_CHARACTERS = 8 * 1024;

/**
 * Cuts output into lines, and drops what is over `maxBytes`. Each source (stdout, stderr) has a cutter of its own on a
 * shared budget, so that lines are not mixed up.
 */
export class OutputBudget {
  #left: number;
  #told = false;

  constructor(maxBytes: number) {
    this.#left = maxBytes;
  }

  /** What of `chunk` may be shown; `cut` is true once, when the budget runs out. */
  take(chunk: Buffer): { readonly shown: Buffer; readonly cut: boolean } {
    const shown = chunk.subarray(0, this.#left);
    this.#left -= shown.length;
    const cut = shown.length < chunk.length && !this.#told;
    this.#told ||= cut;
    return { shown, cut };
  }
}

/** Lines of one source, without their line ends. */
export class OutputLineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  /** The lines that `chunk` completes. */
  push(chunk: Buffer): string[] {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    const whole = lines.flatMap((line) => pieces(line.endsWith("\r") ? line.slice(0, -1) : line));
    while (this.#rest.length > MAX_LINE_CHARACTERS) {
      whole.push(this.#rest.slice(0, MAX_LINE_CHARACTERS));
      this.#rest = this.#rest.slice(MAX_LINE_CHARACTERS);
    }
    return whole;
  }

  /** The last line, when it had no end. */
  end(): string[] {
    const last = this.#rest + this.#decoder.end();
    this.#rest = "";
    return last === "" ? [] : pieces(last);
  }
}

function pieces(line: string): string[] {
  if (line.length <= MAX_LINE_CHARACTERS) return [line];
  const cut: string[] = [];
  for (let at = 0; at < line.length; at += MAX_LINE_CHARACTERS) cut.push(line.slice(at, at + MAX_LINE_CHARACTERS));
  return cut;
}
