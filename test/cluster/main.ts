// `npm run test:cluster`: the end-to-end suite against the cluster that KUBECONFIG names. Gateway and provider run here,
// beside the suite, and functions in namespaces made for this run, which are gone afterwards.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { FaasError } from "../../contract/errors.ts";
import { ROOT } from "../support/platform.ts";
import { type Handover, writeHandover } from "./handover.ts";
import { ClusterStage } from "./open-cluster.ts";
import { ClusterProblem } from "./problem.ts";
import { readSettings } from "./settings.ts";

const say = (line: string) => void process.stderr.write(`test:cluster: ${line}\n`);

async function main(): Promise<number> {
  const settings = readSettings(process.env);
  if (typeof settings === "string") {
    say(settings);
    return 2;
  }
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // A terminal and npm may both send it; cleaning up goes on.
    process.on(signal, () => {
      if (!stopping.signal.aborted) say(`${signal}: cleaning up`);
      stopping.abort(new ClusterProblem("stopped"));
    });
  }
  const stage = new ClusterStage(settings, say);
  let code = 1;
  try {
    const { handover, logs } = await stage.open(stopping.signal);
    code = await runSuite(handover, stopping.signal);
    if (code !== 0 && !stopping.signal.aborted) say(`failed; what gateway and provider said last:\n${logs()}`);
  } catch (error) {
    if (!(error instanceof ClusterProblem || error instanceof FaasError || stopping.signal.aborted)) throw error;
    if (!stopping.signal.aborted) say((error as Error).message);
  } finally {
    const left = await stage.close();
    say(left.length === 0 ? "nothing is left behind" : `LEFT BEHIND: ${left.join("; ")}`);
    if (left.length > 0) code = 1;
  }
  return code;
}

/** @returns its exit code */
async function runSuite(handover: Handover, stopping: AbortSignal): Promise<number> {
  const jest = [join(ROOT, "node_modules/jest/bin/jest.js"), "--rootDir", ROOT, "--testMatch"];
  const suite = join(ROOT, "test/cluster/end-to-end.ts");
  const flags = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"];
  const child = spawn(process.execPath, [...flags, ...jest, suite, "--runInBand", "--verbose"], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...writeHandover(handover) },
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const stop = () => child.kill("SIGKILL");
  stopping.addEventListener("abort", stop, { once: true });
  if (stopping.aborted) stop();
  const [code] = await exited;
  return code ?? 1;
}

process.exitCode = await main();
