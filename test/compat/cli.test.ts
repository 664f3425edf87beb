import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type FakeGateway, openFakeGateway, type Reply } from "../cli/support/fake-gateway.ts";
import { makeWorkspace, runHere, type Workspace } from "../cli/support/run-cli.ts";
import { CLI_ROWS, COMMANDS, type Exchange, STACK } from "../conformance/cli-commands.ts";
import { CLI, CLIENT } from "./differences.ts";

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
