import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { FakeBackend } from "../provider/fake-backend.ts";
import { serveProvider, type TestProvider } from "../provider/support.ts";
import { rawRequest } from "../support/raw-http.ts";
import { PROVIDER_ROWS, REFLECT } from "./control-rows.ts";
import { expectFacts, withAuthorization } from "./facts.ts";

/* A gateway of OpenFaaS passes these on, so our provider has to answer them without ours as well. */

const authorization = `Basic ${Buffer.from("admin:secret").toString("base64")}`;
let provider: TestProvider;

beforeAll(async () => {
  provider = await serveProvider({ backend: new FakeBackend(), credentials: { user: "admin", password: "secret" } });
  const created = await provider.call("POST", "/system/functions", REFLECT, { authorization });
  expect(created.status).toBe(202);
});

afterAll(() => provider.close());

describe("a provider without our gateway", () => {
  test.each(PROVIDER_ROWS.map((row) => [row[0], row] as const))("%s", async (_name, row) => {
    expectFacts(await rawRequest(provider.port, withAuthorization(row[1], authorization)), row);
  });
});
