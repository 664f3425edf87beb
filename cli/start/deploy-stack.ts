import { randomBytes } from "node:crypto";
import {
  type BuildObserver,
  builderAt,
  buildFunctions,
  deployableOf,
  templateDirsOf,
} from "../build/build-functions.ts";
import { findProjectRoot } from "../build/project-root.ts";
import { expectStatus, type GatewayClient } from "../client/gateway-client.ts";
import { deployFunctions } from "../deploy/deploy-functions.ts";
import { NO_OVERRIDES } from "../deploy/deployment.ts";
import { planDeployment } from "../deploy/plan-deployments.ts";
import { homeFolder } from "../home-folder.ts";
import type { Stack, StackFunction } from "../stack/types.ts";
import { createTemplateFetcher } from "../templates/fetch-missing.ts";

export interface StackDeployment {
  readonly stack: Stack;
  readonly client: GatewayClient;
  /** Where the build contexts are laid out. */
  readonly buildDir: string;
  /** Root of faaslane's own sources, which has the templates that come with it. */
  readonly sourceRoot: string;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Builds and deploys every function of the stack. One that fails is a line; the others go on. What has not changed is
 * neither installed nor restarted: the builder knows contexts by their digest, and the provider compares definitions.
 * @returns the functions that are deployed
 */
export async function deployStack(deployment: StackDeployment): Promise<StackFunction[]> {
  const { stack, client, buildDir, sourceRoot, print, signal } = deployment;
  const baseDir = process.cwd();
  const projectRoot = findProjectRoot(baseDir, homeFolder());
  const templateDirs = templateDirsOf(baseDir, sourceRoot);
  const fetchTemplate = createTemplateFetcher({
    configured: stack.templates,
    storeUrl: undefined,
    baseDir,
    env: process.env,
    print,
  });
  await ensureSecrets(deployment);

  // What a failed build printed last is usually why.
  const lastWords = new Map<string, string>();
  const observer: BuildObserver = {
    started() {},
    log: (name, line) => line.trim() !== "" && lastWords.set(name, line.trim()),
    finished() {},
  };
  const outcomes = await buildFunctions(
    stack.functions,
    {
      baseDir,
      buildDir,
      copyExtra: stack.copy,
      shared: false,
      projectRoot,
      templateDirs,
      fetchTemplate,
      buildArgs: [],
      buildOptions: [],
      tag: "latest",
      parallel: 2,
      shrinkwrap: false,
    },
    { builder: builderAt(client), observer, signal },
  );
  for (const outcome of outcomes) {
    if (outcome.kind !== "failed") continue;
    const words = lastWords.get(outcome.name);
    print(`${outcome.name}: not built: ${messageOf(outcome.error)}${words ? ` (${words})` : ""}`);
  }
  const deployable = deployableOf(stack.functions, outcomes);

  const plan = {
    baseDir,
    templateDirs,
    projectRoot,
    readTemplate: true,
    tag: "latest",
    environment: {},
    flags: NO_OVERRIDES,
  } as const;
  const deployed = await deployFunctions(deployable, (fn) => planDeployment(fn, plan), {
    target: client,
    mode: "update",
    report: (outcome) => {
      if (outcome.kind === "failed") print(`${outcome.name}: not deployed: ${messageOf(outcome.error)}`);
      else for (const warning of outcome.answer.warnings) print(`${outcome.name}: warning: ${warning}`);
    },
  });
  await declareResources(deployment);
  return deployable.filter((_fn, i) => deployed[i]?.kind === "deployed");
}

async function declareResources({ stack, client, print }: StackDeployment): Promise<void> {
  if (stack.resources.length === 0) return;
  const [{ deployResources }, { ResourcesClient }] = await Promise.all([
    import("../deploy/deploy-resources.ts"),
    import("../client/resources-client.ts"),
  ]);
  await deployResources(stack.resources, new ResourcesClient(client), undefined, (outcome) => {
    if (outcome.kind === "failed") print(`${outcome.name}: not declared: ${messageOf(outcome.error)}`);
  });
}

/** A secret that the stack names and nobody has made yet gets a random value, so that a fresh clone starts. */
async function ensureSecrets({ stack, client, print }: StackDeployment): Promise<void> {
  const wanted = new Map<string, Set<string>>();
  for (const { namespace = "", secrets } of stack.functions) {
    const names = wanted.get(namespace) ?? new Set();
    for (const name of secrets) names.add(name);
    wanted.set(namespace, names);
  }
  for (const [namespace, names] of wanted) {
    if (names.size === 0) continue;
    const where = namespace === "" ? undefined : namespace;
    try {
      const known = new Set((await client.listSecrets(where)).map(({ name }) => name));
      for (const name of names) {
        if (known.has(name)) continue;
        const value = randomBytes(24).toString("base64url");
        expectStatus(await client.createSecret({ name, namespace: where, value }), [200, 202]);
        print(`secret ${name}: made with a random value; change it with: npm run faaslane -- secret update ${name}`);
      }
    } catch (error) {
      // The functions that want them are refused in a moment, each with a line of its own.
      print(`secrets ${[...names].join(", ")}: not made: ${messageOf(error)}`);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
