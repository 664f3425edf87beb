import type { JetStreamQueueOptions } from "../../../gateway/queue/jetstream.ts";

/** Says nothing; with `FAASLANE_TEST_LOG=1` everything, to see what a test comes to. */
export const silent: JetStreamQueueOptions["log"] = {
  debug: tell,
  info: tell,
  warn: tell,
  error: tell,
};

function tell(facts: unknown, message?: string): void {
  if (process.env.FAASLANE_TEST_LOG !== "1") return;
  const err = (facts as { err?: unknown }).err;
  process.stderr.write(
    `${message} ${JSON.stringify(facts)} ${err === undefined ? "" : String((err as Error).stack ?? err)}\n`,
  );
}
