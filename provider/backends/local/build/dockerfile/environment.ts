import type { Base } from "./base-image.ts";
import { refuseSteps } from "./refuse.ts";
import { PYTHON_PACKAGES } from "./run-steps.ts";

/** Starts what the image would start. */
export const START_FILE = ".faaslane/start.sh";
/** What makes a program listen at another port than it was written for, by language. */
export const LISTEN_FOLDER = ".faaslane/listen";

type Env = Record<string, string>;

/** The settings of an image that starts a server of its own at `port`. */
export function envOfServer(given: Readonly<Env>, port: string, requires: ReadonlySet<string>): Env {
  return listenAt({ ...given, mode: "http", fprocess: `sh ${START_FILE}` }, port, requires);
}

/**
 * The settings of an image that starts one of OpenFaaS's watchdogs, as it would have them.
 * @throws {FaasError} `invalid`
 */
export function envOfWatchdog(given: Readonly<Env>, watchdog: Base["watchdog"], requires: ReadonlySet<string>): Env {
  const mode = given.mode ?? (watchdog === "classic" ? "classic" : "streaming");
  const process = given.fprocess ?? given.function_process ?? refuseSteps("sets no fprocess for its watchdog");
  const env = { ...given, mode, fprocess: process.replace(/^python[\d.]*(?=\s|$)/, "python3") };
  const port = /:(\d+)\/?$/.exec(given.upstream_url ?? "")?.[1];
  return listenAt(env, mode === "http" ? port : undefined, requires);
}

/** Replicas share the ports of the machine, so each gets one of its own, whatever the program was written for. */
function listenAt(given: Readonly<Env>, port: string | undefined, requires: ReadonlySet<string>): Env {
  const env: Env = { prefix_logs: "false", ...given };
  const [python, node] = [requires.has("python3"), requires.has("node")];
  if (python) env.PYTHONPATH = [LISTEN_FOLDER, PYTHON_PACKAGES].join(":");
  if (port === undefined) return env;
  for (const name of ["PORT", "http_port"]) if (env[name] === port) delete env[name];
  if (!python && !node) return { ...env, upstream_url: `http://127.0.0.1:${port}` };
  if (node) env.NODE_OPTIONS = `--require ./${LISTEN_FOLDER}/listen.cjs`;
  return { ...env, upstream_url: "http://127.0.0.1:0", faaslane_written_for_port: port };
}
