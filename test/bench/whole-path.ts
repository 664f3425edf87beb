import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refreshPackage } from "../../deploy/build-package.mjs";
import { eventually } from "../support/eventually.ts";
import { ROOT, runCli } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

/** Gateways of one provider, compiled and each a process of its own as on a cluster, and functions to call. */
export interface WholePath {
  readonly provider: ServerProcess;
  readonly gateways: readonly BenchGateway[];
  /** Of the only replica of `one`. */
  readonly direct: string;
  close(): Promise<void>;
}

export interface BenchGateway {
  readonly process: ServerProcess;
  /** Processes that take calls. */
  readonly workers: number;
}

/** Functions of the Node template, which do next to nothing, by name: how many replicas each has throughout. */
export const FUNCTIONS = { one: 1, four: 4 } as const;

/** As the image starts its processes. */
export function imageEnv(folder: string): Record<string, string> {
  return { NODE_COMPILE_CACHE: join(folder, "package-cache"), NODE_OPTIONS: "--max-semi-space-size=4" };
}

/**
 * Starts them and waits until all functions answer.
 * @param workers of each gateway
 */
export async function openWholePath(folder: string, workers: readonly number[]): Promise<WholePath> {
  await refreshPackage();
  const root = join(ROOT, "dist/package");
  const opened: (() => unknown)[] = [];
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end();
  };
  try {
    const env = imageEnv(folder);
    const provider = await startServerProcess("provider/main.ts", { ...env, data_dir: join(folder, "provider") }, root);
    opened.push(() => provider.stop());
    const gateways: BenchGateway[] = [];
    for (const count of workers) {
      const own = { data_dir: join(folder, `gateway-${count}`), gateway_workers: String(count) };
      const gateway = await startServerProcess(
        "gateway/process/main.ts",
        { ...env, functions_provider_url: provider.url, ...own },
        root,
      );
      opened.push(() => gateway.stop());
      gateways.push({ process: gateway, workers: count });
    }
    const urls = gateways.map(({ process }) => process.url);
    await deployFunctions(folder, urls);
    return { provider, gateways, direct: `http://${await addressOf(urls[0] as string, "one")}/`, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function deployFunctions(folder: string, gateways: readonly string[]): Promise<void> {
  const project = join(folder, "project");
  await mkdir(join(project, "bench"), { recursive: true });
  await writeFile(join(project, "bench/handler.js"), 'module.exports = async () => "hello";\n');
  // As many replicas throughout: the way to them is measured, not how they scale.
  const labels = (count: number) => `{com.openfaas.scale.min: "${count}", com.openfaas.scale.max: "${count}"}`;
  const functions = Object.entries(FUNCTIONS).map(
    ([name, count]) =>
      `  ${name}: {lang: node, handler: ./bench, image: ${name}, labels: ${labels(count)}, environment: {MAX_TEXT_SIZE: 2mb}}\n`,
  );
  await writeFile(join(project, "stack.yml"), `provider: {name: openfaas}\nfunctions:\n${functions.join("")}`);
  const up = await runCli(["up"], { cwd: project, env: { OPENFAAS_URL: gateways[0] as string } });
  if (up.code !== 0) throw new Error(up.stdout + up.stderr);
  for (const url of gateways) {
    for (const [name, count] of Object.entries(FUNCTIONS)) {
      const ready = async () => {
        const status = (await (await fetch(`${url}/system/function/${name}`)).json()) as Record<string, unknown>;
        return status.availableReplicas === count && (await fetch(`${url}/function/${name}`)).status === 200;
      };
      await eventually(`${count} replicas of ${name} answer`, ready, 60_000, 50);
    }
  }
}

/** Where a replica of a function listens, from the log line that its watchdog writes. */
export async function addressOf(gateway: string, name: string, headers: Record<string, string> = {}): Promise<string> {
  const logs = await (await fetch(`${gateway}/system/logs?name=${name}&follow=false`, { headers })).text();
  const port = /listening on port (\d+)/i.exec(logs)?.[1];
  if (port === undefined) throw new Error(`no port in the log:\n${logs}`);
  return `127.0.0.1:${port}`;
}
