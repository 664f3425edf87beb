import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type FakeGateway, openFakeGateway, type Reply } from "../cli/support/fake-gateway.ts";
import { makeWorkspace, runHere, type Workspace } from "../cli/support/run-cli.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";
import { CLI_ROWS, COMMANDS, type Exchange, IMAGE, STACK } from "./cli-commands.ts";
import { CLI, CLIENT } from "./differences.ts";
import { expectFacts, type Row, withAuthorization } from "./facts.ts";

describe("what faas-cli asks, in its order, is answered as it relies on", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await Platform.start({ dataDir: folder.path, env: { allowed_hosts: "gw.test" } });
    await buildImage(platform, IMAGE, {
      "faaslane.json": JSON.stringify({ env: { mode: "classic", fprocess: "cat" } }),
    });
  });

  afterAll(async () => {
    await platform?.stop();
    await folder?.remove();
  });

  async function ask([, bytes]: Row) {
    const needsPassword = / \/system\//.test(bytes) && !bytes.includes("Authorization:");
    const request = needsPassword ? withAuthorization(bytes, await platform.authorization()) : bytes;
    return await rawRequest(platform.port, request);
  }

  test.each(CLI_ROWS.map((row) => [row[0], row] as const))("%s", async (_name, row) => {
    const tellsReplicas = JSON.stringify(row[4] ?? "").includes("availableReplicas");
    if (tellsReplicas)
      await eventually("the replica is ready", async () => (await ask(row))?.body.includes("availableReplicas"));
    expectFacts(await ask(row), row);
  });
});

/** Asked by another program than the client. */
const NOT_THE_CLIENT = "logs, not following";

describe("our client asks what faas-cli asks", () => {
  let gateway: FakeGateway;
  let workspace: Workspace;
  let config: string;

  beforeAll(async () => {
    gateway = await openFakeGateway();
    workspace = await makeWorkspace({ "stack.yml": STACK });
    config = await mkdtemp(join(tmpdir(), "faaslane-config-"));
  });

  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await workspace[Symbol.asyncDispose]();
    await rm(config, { recursive: true });
  });

  const asked = ({ line, sends, head = [] }: Exchange) => ({
    line,
    body: sends ?? "",
    type: typeof sends === "object" ? "application/json" : typeof sends === "string" ? "text/plain" : undefined,
    test: head.includes("X-Test: 1") ? "1" : undefined,
    hasPassword: line.includes(" /system/"),
  });
  const parsed = (body: string): unknown => (body.startsWith("{") ? JSON.parse(body) : body);

  test.each(COMMANDS.filter(({ name }) => name !== NOT_THE_CLIENT).map((command) => [command.name, command] as const))(
    "%s",
    async (_name, { args, code, input = "", asks, alsoAsks = [] }) => {
      const replies = asks.map(({ status, reply = "" }): Reply => ({ status, body: reply }));
      gateway.respond = ({ method, path }) => {
        if (alsoAsks.includes(`${method} ${path}`)) return { status: 404, body: "404 page not found\n" };
        return replies.shift() ?? { status: 500, body: "faas-cli does not ask this" };
      };
      gateway.seen.length = 0;

      const env = { OPENFAAS_URL: gateway.url, OPENFAAS_CONFIG: config };
      const outcome = await runHere(args.split(" "), { cwd: workspace.path, env, input });
      const seen = gateway.seen.map(({ method, path, headers, body }) => ({
        line: `${method} ${path}`,
        body: parsed(body.toString()),
        type: headers["content-type"],
        test: headers["x-test"],
        hasPassword: headers.authorization !== undefined,
      }));
      expect(seen.filter(({ line }) => !alsoAsks.includes(line))).toEqual(asks.map(asked));
      expect(seen.map(({ line }) => line).filter((line) => alsoAsks.includes(line))).toEqual(alsoAsks);
      expect({ code: outcome.code, hasErrors: outcome.stderr.includes("Error: ") }).toEqual({
        code,
        hasErrors: code !== 0,
      });
    },
  );
});

test("each difference is one of a request", () => {
  const names = CLI_ROWS.map(([name]) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  expect(Object.keys(CLI).filter((name) => !names.includes(name))).toEqual([]);
  const more = COMMANDS.filter(({ alsoAsks }) => alsoAsks).map(({ name }) => name);
  expect(Object.keys(CLIENT)).toEqual(more);
});
