import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ERROR_CODES, ERROR_HEADER, type ErrorCode } from "../../contract/error-codes.ts";
import { STATUS } from "../../contract/errors.ts";
import { eventually } from "../support/eventually.ts";
import { GuardedGateway } from "../support/guarded-gateway.ts";
import { temporaryFolder } from "../support/platform.ts";

let on: GuardedGateway;
beforeAll(async () => {
  on = await GuardedGateway.open({ events: "embedded" });
});
afterAll(() => on?.close());

const EVENT = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "order.created" };

test.each<[what: string, method: string, path: string, code: ErrorCode]>([
  ["a broker", "POST", "/broker/nobody", "unknown_broker"],
  ["a broker's declaration", "GET", "/system/brokers/nobody", "unknown_broker"],
  ["a trigger", "GET", "/system/triggers/nobody", "unknown_trigger"],
  ["a source", "GET", "/system/sources/nobody", "unknown_source"],
  ["a webhook", "POST", "/webhook/nobody", "unknown_source"],
  ["a sink", "GET", "/system/sinks/nobody", "unknown_sink"],
  ["a flow", "GET", "/system/flows/nobody", "unknown_flow"],
  ["a run", "GET", "/system/flow-runs/nobody", "unknown_run"],
  ["an event", "GET", "/system/events/nobody", "unknown_event"],
  ["a replay", "GET", "/system/replays/nobody", "unknown_replay"],
])("%s that there is not has a code", async (_what, method, path, code) => {
  const answer = await fetch(on.url + path, { method, headers: EVENT, ...(method === "POST" && { body: "{}" }) });
  await answer.text();
  expect([answer.headers.get(ERROR_HEADER), answer.status]).toEqual([code, STATUS[ERROR_CODES[code]]]);
});

test("a store that cannot be opened is told as one, everywhere, until it is mended", async () => {
  const folder = await temporaryFolder();
  const file = join(folder.path, "events.db");
  await writeFile(file, "this is no database".repeat(1_000));
  const gateway = await GuardedGateway.open({ events: "embedded", data_dir: folder.path });
  try {
    const ask = async (method: string, path: string) => {
      const answer = await fetch(gateway.url + path, {
        method,
        headers: EVENT,
        ...(method === "POST" && { body: "{}" }),
      });
      expect(await answer.text()).not.toContain(folder.path);
      return [answer.status, answer.headers.get(ERROR_HEADER)];
    };
    const paths = ["events", "brokers", "triggers", "sources", "sinks", "flows", "flow-runs", "replays"];
    for (const [method, path] of [
      ["POST", "/broker/default"],
      ["POST", "/webhook/hook"],
      ...paths.map((name) => ["GET", `/system/${name}`] as const),
    ] as const) {
      expect([path, ...(await ask(method, path))]).toEqual([path, 503, "events_unavailable"]);
    }
    await rm(file);
    await eventually("it is mended", async () => (await ask("POST", "/broker/default"))[0] === 202, 30_000);
  } finally {
    await gateway.close();
    await folder.remove();
  }
}, 60_000);
