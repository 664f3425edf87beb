import { open } from "node:fs/promises";

/** One execution of a call by a function: written before the function does anything else. */
export interface Execution {
  /** The number that the caller gave the call. */
  readonly call: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly pid: number;
}

/** Source of a Node function that enters each of its calls, `?call=N`, into the ledger at `LEDGER`. `answer` is its body after that. */
export function ledgerHandler(answer: string): string {
  return `
const { appendFileSync } = require("node:fs");
module.exports = async (event, context) => {
  // One short write with O_APPEND: lines of several replicas do not mix.
  appendFileSync(process.env.LEDGER, event.query.call + " " + Date.now() + " " + process.pid + "\\n");
  ${answer}
};
`;
}

/** What functions have run, read from the file that they append to. */
export class Ledger {
  readonly path: string;
  /** By the number of the call, in the order of the file. */
  readonly executions = new Map<number, Execution[]>();
  count = 0;
  #offset = 0;
  #rest = "";

  constructor(path: string) {
    this.path = path;
  }

  /** Takes in what was written since. */
  async read(): Promise<void> {
    const file = await open(this.path, "a+");
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(size - this.#offset);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#offset);
      this.#offset += bytesRead;
      const lines = (this.#rest + buffer.toString("latin1", 0, bytesRead)).split("\n");
      this.#rest = lines.pop() as string;
      for (const line of lines) this.#add(line);
    } finally {
      await file.close();
    }
  }

  #add(line: string): void {
    const [call, startedAt, pid] = line.split(" ").map(Number) as [number, number, number];
    const before = this.executions.get(call);
    if (before) before.push({ call, startedAt, pid });
    else this.executions.set(call, [{ call, startedAt, pid }]);
    this.count++;
  }
}
