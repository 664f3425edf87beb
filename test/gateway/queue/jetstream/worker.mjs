/**
 * A worker process that takes calls and never ends them. Tells of each on standard output: for tests to kill.
 */
import { openJetStreamQueue } from "../../../../gateway/queue/jetstream/index.ts";

const quiet = () => {};
const queue = await openJetStreamQueue({
  servers: [process.argv[2]],
  maxBodyBytes: 1024 ** 2,
  maxResultBytes: 1024 ** 2,
  resultTtlMs: 900_000,
  ackWaitMs: Number(process.argv[3]),
  pollMs: 200,
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
});
await queue.consume(
  (call, attempt) => {
    process.stdout.write(`${call.id} ${attempt}\n`);
    return new Promise(() => {});
  },
  { concurrency: 4, limitOf: () => 4 },
);
