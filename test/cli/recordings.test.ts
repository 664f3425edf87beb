import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import { readRecording, testWith } from "../support/recordings.ts";
import { type FakeGateway, openFakeGateway, type Reply } from "./support/fake-gateway.ts";
import { makeWorkspace, runHere, type Workspace } from "./support/run-cli.ts";

interface Exchange {
  readonly step: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
  readonly response: { readonly status: number; readonly body: string };
}

/** The command lines that were recorded, by step, with the exit code ours ends with. */
const COMMANDS: Readonly<Record<string, { readonly args: string; readonly code: number; readonly input?: string }>> = {
  login: { args: "login --password-stdin", code: 0, input: "secret" },
  version: { args: "version", code: 0 },
  "list, nothing deployed": { args: "list", code: 0 },
  "namespace list": { args: "namespace list", code: 0 },
  "deploy with a secret that does not exist": { args: "deploy -f shout.stack.yml", code: 1 },
  "secret create": { args: "secret create api-key --from-literal hunter2", code: 0 },
  "secret create, exists": { args: "secret create api-key --from-literal hunter2", code: 1 },
  "secret list": { args: "secret list", code: 0 },
  "deploy new function": { args: "deploy -f shout.stack.yml", code: 0 },
  list: { args: "list", code: 0 },
  "list verbose": { args: "list -v", code: 0 },
  describe: { args: "describe shout", code: 0 },
  invoke: { args: "invoke shout", code: 0, input: "hello" },
  "invoke with query, headers, method": {
    args: "invoke shout --query a=1 -H X-Test=1 -m PUT",
    code: 0,
    input: "hello",
  },
  "invoke unknown function": { args: "invoke nothere", code: 1, input: "hello" },
  "logs of an unknown function": { args: "logs nothere", code: 1 },
  "secret update": { args: "secret update api-key --from-literal hunter3", code: 0 },
  "update function (deploy again)": { args: "deploy -f shout.stack.yml", code: 0 },
  "deploy invalid name": { args: "deploy --image docker.io/local/fn-echo:1 --name Bad_Name", code: 1 },
  "deploy invalid memory": {
    args: "deploy --image docker.io/local/fn-echo:1 --name badmem --memory-limit lots",
    code: 1,
  },
  "deploy into unknown namespace": { args: "deploy --image docker.io/local/fn-echo:1 --name x -n nowhere", code: 1 },
  "deploy by flags": {
    args: "deploy --image docker.io/local/fn-echo:1 --name plain -e a=1 -l team=x --annotation note=y",
    code: 0,
  },
  "describe unknown": { args: "describe nothere", code: 1 },
  remove: { args: "remove shout", code: 0 },
  "remove unknown": { args: "remove nothere", code: 1 },
  "secret remove": { args: "secret remove api-key", code: 0 },
  "secret remove unknown": { args: "secret remove api-key", code: 1 },
  ready: { args: "ready --attempts 1", code: 0 },
  "login, wrong password": { args: "login --password-stdin", code: 1, input: "wrong" },
};

/** Written down by another program than the client. */
const NOT_THE_CLIENT = ["logs, not following"];

const recording = readRecording("faas-cli.json");
const stackFile = readRecording("shout.stack.yml");
const exchanges = recording === undefined ? [] : (JSON.parse(recording) as Exchange[]);
const steps = Map.groupBy(exchanges, ({ step }) => step);
const withRecordings = testWith(recording && stackFile);

describe("our client asks what faas-cli asked", () => {
  let gateway: FakeGateway;
  let workspace: Workspace;
  let config: string;
  beforeAll(async () => {
    gateway = await openFakeGateway();
    workspace = await makeWorkspace({ "shout.stack.yml": stackFile ?? "" });
    config = await mkdtemp(join(tmpdir(), "faaslane-config-"));
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await workspace[Symbol.asyncDispose]();
    await rm(config, { recursive: true });
  });

  withRecordings("every recorded step has a command", () => {
    expect([...steps.keys()].sort()).toEqual([...Object.keys(COMMANDS), ...NOT_THE_CLIENT].sort());
  });

  for (const [step, { args, code, input = "" }] of Object.entries(COMMANDS)) {
    withRecordings(step, async () => {
      const expected = steps.get(step) ?? [];
      const replies = expected.map(({ response }): Reply => ({ status: response.status, body: response.body }));
      gateway.respond = () => replies.shift() ?? { status: 500, body: "the original did not ask this" };
      gateway.seen.length = 0;

      const env = { OPENFAAS_URL: gateway.url, OPENFAAS_CONFIG: config };
      const outcome = await runHere(args.split(" "), { cwd: workspace.path, env, input });
      const asked = gateway.seen.map(({ method, path, headers, body }) => ({
        ...{ method, path, type: headers["content-type"], test: headers["x-test"] },
        ...{ auth: headers.authorization !== undefined, body: parsed(body.toString()) },
      }));
      expect(asked).toEqual(
        expected.map(({ request: { method, path, headers, body } }) => ({
          ...{ method, path, type: headers["content-type"], test: headers["x-test"] },
          ...{ auth: headers.authorization !== undefined, body: parsed(body) },
        })),
      );
      expect({ code: outcome.code, hasErrors: outcome.stderr.includes("Error: ") }).toEqual({
        code,
        hasErrors: code !== 0,
      });
    });
  }
});

function parsed(body: string): unknown {
  return body.startsWith("{") ? JSON.parse(body) : body;
}
