import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ERROR_CODES, ERROR_HEADER, type ErrorCode } from "../../contract/error-codes.ts";
import { STATUS } from "../../contract/errors.ts";
import { GuardedGateway } from "../support/guarded-gateway.ts";

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
