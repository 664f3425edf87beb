import { spawn } from "node:child_process";
import { request } from "node:http";
import { connect } from "node:net";
import type { Probe } from "../workloads.ts";

/** Where a probe looks. */
export interface ProbeTarget {
  readonly ip: string;
  readonly ports: Readonly<Record<string, number>>;
  /** How a command is run within the container. */
  readonly exec: (command: readonly string[]) => {
    command: readonly string[];
    cwd: string;
    env: Readonly<Record<string, string>>;
  };
}

/** Runs a probe once: resolves to whether it succeeded before its time was up. */
export async function runProbe(probe: Probe, target: ProbeTarget): Promise<boolean> {
  const timeoutMs = probe.timeoutSeconds * 1000;
  const port = (named: number | string) => (typeof named === "number" ? named : (target.ports[named] ?? 0));
  if (probe.httpGet !== undefined) {
    const { path, port: at, httpHeaders = [] } = probe.httpGet;
    const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]));
    return await probeHttp({ host: target.ip, port: port(at), path, headers }, timeoutMs);
  }
  if (probe.tcpSocket !== undefined) return await probeTcp(target.ip, port(probe.tcpSocket.port), timeoutMs);
  if (probe.exec !== undefined) return await probeExec(target, probe.exec.command, timeoutMs);
  throw new Error("a probe of this kind is not supported");
}

function probeHttp(
  to: { host: string; port: number; path: string; headers: Record<string, string> },
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = { "user-agent": "kube-probe/1.34", ...to.headers };
    const req = request({ ...to, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) }, (res) => {
      res.resume();
      resolve((res.statusCode as number) >= 200 && (res.statusCode as number) < 400);
    });
    req.once("error", () => resolve(false));
    req.end();
  });
}

function probeTcp(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const end = (succeeded: boolean) => {
      socket.destroy();
      resolve(succeeded);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}

function probeExec({ exec }: ProbeTarget, command: readonly string[], timeoutMs: number): Promise<boolean> {
  const { command: mapped, cwd, env } = exec(command);
  const [program = "", ...args] = mapped;
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: "ignore", timeout: timeoutMs, killSignal: "SIGKILL" });
    child.once("error", () => resolve(false));
    child.once("exit", (code) => resolve(code === 0));
  });
}
