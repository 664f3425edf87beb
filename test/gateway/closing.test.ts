import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { FakeProvider } from "../support/fake-provider.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { temporaryFolder } from "../support/platform.ts";

const CHILD = fileURLToPath(new URL("./fixtures/open-and-close.ts", import.meta.url));

let provider: FakeProvider;
let replica: Server;

beforeEach(async () => {
  provider = await FakeProvider.open();
  provider.respond = (_request, res) => res.writeHead(404).end();
  replica = createServer((req, res) => req.resume().on("end", () => res.end("done")));
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  provider.put({ name: "f", endpoints: [{ address, instance: "a", state: "ready" }] });
  provider.put({ name: "asleep", endpoints: [] });
});

afterEach(async () => {
  replica.closeAllConnections();
  replica.close();
  await provider.close();
});

/** What is left of a process that has opened, used and closed it all. */
async function openAndClose(queue: "embedded" | "nats", where: string): Promise<unknown> {
  const args = ["--disable-warning=ExperimentalWarning", CHILD, provider.url.href, queue, where];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return JSON.parse(stdout);
}

const nothingLeft = { used: [202, "done", 503, 404, 202, 200], left: [] };

test("a gateway that was closed leaves no timer, socket or thread behind", async () => {
  const folder = await temporaryFolder();
  try {
    expect(await openAndClose("embedded", folder.path)).toEqual(nothingLeft);
  } finally {
    await folder.remove();
  }
}, 60_000);

describeWithNats("with NATS", () => {
  test("neither do a gateway, a queue worker and an event worker", async () => {
    const nats = await NatsServer.start();
    try {
      expect(await openAndClose("nats", `nats://${nats.address}`)).toEqual(nothingLeft);
    } finally {
      await nats.remove();
    }
  }, 60_000);
});
