import { parentPort } from "node:worker_threads";
import { CliError } from "../../cli/errors.ts";
import { parseStack } from "../../cli/stack/parse.ts";

/** Parses what it is sent as a stack file, and says what was wrong beside the file itself: nothing, if all is well. */
parentPort?.on("message", (text: string) => {
  try {
    parseStack(text, { file: "stack.yml", env: { A: "a", EMPTY: "" } });
    parentPort?.postMessage("");
  } catch (error) {
    parentPort?.postMessage(error instanceof CliError ? "" : `${(error as Error).stack}`);
  }
});
