import { type FakeGateway, openFakeGateway, type Reply, type Seen } from "./fake-gateway.ts";
import { makeWorkspace, type Outcome, type RunOptions, runHere, type Workspace } from "./run-cli.ts";

/** A stack file with two functions, and what it needs. */
export const STACK = `version: 1.0
provider: {name: openfaas}
functions:
  hello:
    lang: node
    handler: ./hello
    image: hello
    environment: {A: inline, B: 1.10}
    environment_file: [env.yml]
    labels: {team: x}
    namespace: dev
    build_options: [dev]
  second:
    lang: node
    handler: ./hello
    image: second:1.0
    fprocess: own
`;
export const FILES = {
  "stack.yml": STACK,
  "env.yml": "environment: {A: file}",
  "hello/handler.js": "mine",
  "template/node/template.yml": "fprocess: node index.js\nbuild_options: [{name: dev, packages: [make]}]\n",
  "template/node/function/handler.js": "sample",
};

/** A gateway, and a folder to run commands in. */
export interface Scene extends AsyncDisposable {
  readonly gateway: FakeGateway;
  readonly workspace: Workspace;
  /** Runs with the gateway's URL in the environment. */
  run(args: string | readonly string[], options?: Partial<RunOptions>): Promise<Outcome>;
  /** What the gateway was asked since the last time, as `METHOD path`. */
  asked(): string[];
}

export async function openScene(
  respond: (request: Seen) => Reply | undefined | Promise<Reply | undefined>,
  files: Readonly<Record<string, string>> = FILES,
): Promise<Scene> {
  const gateway = await openFakeGateway(respond);
  const workspace = await makeWorkspace(files);
  return {
    gateway,
    workspace,
    run: (args, { env, ...options } = {}) =>
      runHere(typeof args === "string" ? args.split(" ") : args, {
        cwd: workspace.path,
        env: { OPENFAAS_URL: gateway.url, ...env },
        ...options,
      }),
    asked: () => gateway.seen.splice(0).map(({ method, path }) => `${method} ${path}`),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await workspace[Symbol.asyncDispose]();
    },
  };
}

export const accepted = (): Reply => ({ status: 202 });
