import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import type { Queue } from "../../../../gateway/queue/queue.ts";
import { newCall } from "../../../contracts/queue-contract.ts";
import { describeWithNats, NatsServer } from "../../../support/nats.ts";
import { openOn } from "./support.ts";

describeWithNats("opening on a server that cannot make a stream", () => {
  let server: NatsServer | undefined;
  let queue: Queue | undefined;
  afterEach(async () => {
    await queue?.close();
    await server?.remove();
  });

  test("just now, as what is left of the one before is still being removed, tries again", async () => {
    server = await NatsServer.start();
    const left = dirname(server.messagesOf("FAASLANE_OPEN"));
    await mkdir(dirname(left), { recursive: true });
    // Where a folder is to be made: the server fails once, as while it removes the one before, and clears it away.
    await writeFile(left, "");
    queue = await openOn(server);
    expect((await queue.publish(newCall())).duplicate).toBe(false);
  });
});
