import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedEvents } from "../../events/store/embedded/index.ts";
import { createLogger } from "../../kit/log.ts";
import { describeLedger } from "./ledger-contract.ts";

describeLedger("over the embedded store", async () => {
  const folder = mkdtempSync(join(tmpdir(), "faaslane-ledger-"));
  return {
    open: () => openEmbeddedEvents({ path: join(folder, "events.db"), log: createLogger("silent"), minFreeBytes: 0 }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
});
