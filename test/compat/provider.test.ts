import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { CLI_ROWS } from "../conformance/cli-commands.ts";
import { PROVIDER_ROWS, REFLECT_DEPLOYMENT } from "../conformance/control-rows.ts";
import { expectFacts, type Row, withAuthorization } from "../conformance/facts.ts";
import { FakeBackend } from "../provider/fake-backend.ts";
import { serveProvider, type TestProvider } from "../provider/support.ts";
import { rawRequest } from "../support/raw-http.ts";

/* A gateway of OpenFaaS passes these on, so our provider has to answer them without ours as well. */

const authorization = `Basic ${Buffer.from("admin:secret").toString("base64")}`;

function serve(): Promise<TestProvider> {
  return serveProvider({ backend: new FakeBackend(), credentials: { user: "admin", password: "secret" } });
}

async function ask(provider: TestProvider, row: Row): Promise<void> {
  const [, request] = row;
  const hasPassword = request.includes("Authorization:");
  const answer = await rawRequest(provider.port, hasPassword ? request : withAuthorization(request, authorization));
  expectFacts(answer, row);
}

describe("a provider without our gateway", () => {
  let provider: TestProvider;
  beforeAll(async () => {
    provider = await serve();
    const created = await provider.call("POST", "/system/functions", REFLECT_DEPLOYMENT, { authorization });
    expect(created.status).toBe(202);
  });
  afterAll(() => provider.close());

  test.each(PROVIDER_ROWS.map((row) => [row[0], row] as const))("%s", async (_name, row) => ask(provider, row));
});

/** Calls are tested with functions that run; what a gateway says of itself is not the provider's. */
const OTHERS = /^\w+ (\/function\/|\/system\/info)/;

describe("a provider that faas-cli speaks to", () => {
  let provider: TestProvider;
  beforeAll(async () => {
    provider = await serve();
  });
  afterAll(() => provider.close());

  const rows = CLI_ROWS.filter(([, request]) => !OTHERS.test(request));
  test.each(rows.map((row) => [row[0], row] as const))("%s", async (_name, row) => ask(provider, row));
});
