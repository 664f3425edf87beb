import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { isOutOfSpace } from "../../contract/shortages.ts";
import type { GatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { basicAuthHeader, type Credentials } from "../../kit/basic-auth.ts";
import { socketPathOf } from "../../kit/bind-address.ts";
import type { Env } from "../../kit/env.ts";
import { lockFolder } from "../../kit/folder-lock.ts";
import { createLogger, type Logger } from "../../kit/log.ts";
import { LogOutput, STDOUT } from "../../kit/log-output.ts";
import { type RunningProcess, StartError } from "../../kit/process.ts";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { openProvider } from "../../provider/serve.ts";
import type { RegistrySettings } from "../../registry/config.ts";
import type { OpenRegistry } from "../../registry/serve.ts";
import { GatewayClient } from "../client/gateway-client.ts";
import { CliError } from "../errors.ts";
import { forgetPlatform, recordPlatform } from "../local-platform.ts";
import type { Stack, StackFunction } from "../stack/types.ts";
import { deployStack } from "./deploy-stack.ts";
import { ensureCredentials } from "./ensure-credentials.ts";
import { readStack } from "./read-stack.ts";
import { loadStartConfig, type StartConfig } from "./start-config.ts";

const SOURCE_ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Starts gateway, queue worker and provider in this process and deploys the stack file.
 * @param print gets the lines meant for a person
 * @param signal stops a start that is still building
 * @throws when anything of the platform itself cannot start; all that had been started is stopped again by then
 */
export async function openPlatform(
  env: Env,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<RunningProcess> {
  const config = loadStartConfig(env);
  const stack = readStack(config.stackFile, env);
  if (stack && stack.resources.length > 0) await checkDeclared(stack);
  const output = new LogOutput(STDOUT);
  const log = createLogger(config.gateway.logLevel, output);
  const drainTimeoutMs = config.gateway.drainDelayMs + config.gateway.drainTimeoutMs;
  const opened: { close(withinMs: number): Promise<void> | void }[] = [];
  const close = async () => {
    const deadline = performance.now() + drainTimeoutMs;
    for (const part of opened.splice(0).reverse()) await part.close(Math.max(0, deadline - performance.now()));
  };
  try {
    opened.push({ close: lockFolder(config.dataDir) });
    const { basicAuth, passwordOverlapMs } = config.gateway;
    const credentials = basicAuth ? await ensureCredentials(config.dataDir, passwordOverlapMs, log) : undefined;
    if (credentials) opened.push({ close: () => credentials.close() });
    const registry = config.registry && (await openInnerRegistry(config.registry, credentials, log));
    if (registry) opened.push(registry);
    let gateway: OpenGateway | undefined;
    const gatewayUrl = () => config.provider.gatewayUrl() ?? ownUrl(gateway?.url, config.gateway);
    const provider = await openProvider({ ...config.provider, gatewayUrl }, credentials, log);
    opened.push(provider);
    const gatewayConfig = { ...config.gateway, providerUrl: new URL(provider.url) };
    gateway = await openGateway(gatewayConfig, credentials, log, output);
    opened.push(gateway);
    opened.push(keepRecorded(config.dataDir, gateway.url, log));

    const door = await openInnerDoor(gateway, config.gateway, log);
    if (door) opened.push({ close: () => door.drain(0) });
    const client = new GatewayClient({
      url: door?.url ?? gateway.url,
      // It is our own, by an address that its certificate need not name.
      tlsVerify: false,
      ...(credentials && { authorization: basicAuthHeader(credentials) }),
    });
    const deployed = stack
      ? await deployStack({
          stack,
          client,
          buildDir: join(config.dataDir, "build"),
          sourceRoot: SOURCE_ROOT,
          print,
          signal,
        })
      : [];
    await door?.drain(DOOR_CLOSES_MS);
    if (!signal.aborted) for (const line of welcome(gateway, registry?.url, config, deployed)) print(line);
    return { drainTimeoutMs, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws {StartError} naming what is wrong in the stack file */
async function checkDeclared({ resources }: Stack): Promise<void> {
  const { checkResources } = await import("../stack/check-resources.ts");
  try {
    checkResources(resources);
  } catch (cause) {
    throw cause instanceof CliError ? new StartError(cause.message, { cause }) : cause;
  }
}

/**
 * Where functions on this machine reach the gateway; undefined where they do not.
 * @param url once it listens; the first functions start before
 */
function ownUrl(url: string | undefined, { port, bindAddress, front }: GatewayConfig): string | undefined {
  if (url !== undefined) return URL.canParse(url) && url.startsWith("http") ? url : undefined;
  if (port === 0 || bindAddress.startsWith("unix:")) return undefined;
  return `${front.certificates.length > 0 ? "https" : "http"}://127.0.0.1:${port}`;
}

const DOOR_CLOSES_MS = 1_000;

/** Loaded only where there is to be one. */
async function openInnerRegistry(
  settings: RegistrySettings,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenRegistry> {
  const { openRegistry } = await import("../../registry/serve.ts");
  return await openRegistry(settings, credentials, log);
}

/**
 * A way into our own gateway for as long as the stack is deployed, where the one for others is not for us: it
 * is a socket, an address of one link, or wants a proxy's word first.
 */
async function openInnerDoor(
  { url, handler }: OpenGateway,
  { front }: GatewayConfig,
  log: Logger,
): Promise<DrainingServer | undefined> {
  if (url.startsWith("http") && URL.canParse(url) && !front.proxyProtocol) return undefined;
  return await listen(handler, { port: 0, host: "127.0.0.1", log });
}

/** Until there is room for the record, clients here have to be told the password. */
const RECORD_AGAIN_MS = 5_000;

/** Has clients on this machine find the platform, until it is closed. */
function keepRecorded(dataDir: string, url: string, log: Logger): { close(): void } {
  let again: NodeJS.Timeout | undefined;
  const record = () => {
    try {
      recordPlatform(dataDir, url);
    } catch (err) {
      if (!isOutOfSpace(err)) throw err;
      if (!again) log.warn({ err }, "disk full: clients on this machine cannot find the platform");
      again = setTimeout(record, RECORD_AGAIN_MS).unref();
    }
  };
  record();
  return {
    close: () => {
      clearTimeout(again);
      forgetPlatform(dataDir);
    },
  };
}

function welcome(
  { url, metricsUrl }: OpenGateway,
  registryUrl: string | undefined,
  { gateway, dataDir }: StartConfig,
  deployed: readonly StackFunction[],
): string[] {
  const password = relative(process.cwd(), join(dataDir, "basic-auth-password"));
  const [first] = deployed;
  const target = first && (first.namespace ? `${first.name}.${first.namespace}` : first.name);
  return [
    "",
    `faaslane is running at ${url}`,
    gateway.basicAuth ? `  password   ${password} (user admin)` : "  password   none: basic_auth=false",
    ...dashboardLine(url, gateway.ui),
    `  metrics    ${metricsUrl}/metrics`,
    ...(registryUrl === undefined ? [] : [`  registry   ${registryUrl.replace(/^https?:\/\//, "")}`]),
    `  functions  ${deployed.map(({ name }) => name).join(", ") || "none yet: npm run faaslane -- new NAME --lang node"}`,
    ...(target === undefined ? [] : [`  try        curl ${curlTarget(url)}/function/${target}`]),
    "  stop       Ctrl-C",
  ];
}

/** None where browsers cannot get at it. */
function dashboardLine(url: string, { on, port }: StartConfig["gateway"]["ui"]): string[] {
  if (!on || socketPathOf(url) !== undefined) return [];
  const own = new URL(url);
  if (port !== undefined) own.port = String(port);
  return [`  dashboard  ${own.origin}/ui/`];
}

/** A Unix socket is named beside the URL. */
function curlTarget(url: string): string {
  const path = socketPathOf(url);
  return path === undefined ? url : `--unix-socket ${path} http://localhost`;
}
