import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedEvents } from "../../events/store/embedded/index.ts";
import { createLogger } from "../../kit/log.ts";
import { describeEventStore } from "./store-contract.ts";

const log = createLogger("silent");

describeEventStore("embedded store", async () => {
  const folder = mkdtempSync(join(tmpdir(), "faaslane-events-"));
  return {
    open: () => openEmbeddedEvents({ path: join(folder, "events.db"), log, minFreeBytes: 0 }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
});
