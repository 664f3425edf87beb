import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedQueue } from "../../../../gateway/queue/embedded/index.ts";
import { createLogger } from "../../../../kit/log.ts";
import { queueContract } from "../../../contracts/queue-contract.ts";

queueContract("the embedded queue", async () => {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-queue-"));
  return {
    open: ({ calls, ...limits } = {}) =>
      openEmbeddedQueue({
        path: join(folder, "queue.db"),
        maxBodyBytes: 1024 ** 2,
        log: createLogger("silent"),
        limits: calls ?? {},
        ...limits,
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
});
