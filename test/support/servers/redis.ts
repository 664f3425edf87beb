import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestCertificate, writeCertificate } from "../certificates.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";
import { describeNeeding } from "../needing.ts";
import { missingProgram, PROGRAM_PATH } from "./programs.ts";

/** A `redis-server` of its own, with a password. What it holds survives {@link restart}. */
export class RedisServer {
  readonly password = "r3dis-passw0rd";
  readonly #folder: string;
  readonly #port: number;
  readonly #tls: boolean;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number, tls: boolean) {
    this.#folder = folder;
    this.#port = port;
    this.#tls = tls;
  }

  /** @param certificate with which it speaks TLS, and nothing else */
  static async start(certificate?: TestCertificate): Promise<RedisServer> {
    const folder = await mkdtemp(join(tmpdir(), "faaslane-redis-"));
    if (certificate) await writeCertificate(folder, "server", certificate);
    const server = new RedisServer(folder, await freePort(), certificate !== undefined);
    await server.restart();
    return server;
  }

  get url(): string {
    return `${this.#tls ? "rediss" : "redis"}://127.0.0.1:${this.#port}`;
  }

  async restart(): Promise<void> {
    await this.end();
    const file = (name: string) => join(this.#folder, name);
    const ports = this.#tls
      ? [
          ...["--port", 0, "--tls-port", this.#port, "--tls-auth-clients", "no"],
          ...["--tls-cert-file", file("server.crt"), "--tls-key-file", file("server.key")],
          ...["--tls-ca-cert-file", file("server.crt")],
        ]
      : ["--port", this.#port];
    const args = [...ports, "--bind", "127.0.0.1", "--dir", this.#folder, "--requirepass", this.password];
    const child = spawn("redis-server", [...args.map(String), "--appendonly", "yes", "--appendfsync", "always"], {
      env: { PATH: PROGRAM_PATH },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = child;
    let log = "";
    child.stdout.on("data", (data) => {
      log = (log + data).slice(-10_000);
    });
    child.once("error", (error) => {
      log += String(error);
    });
    await eventually(
      "redis-server listens",
      () => {
        if (child.exitCode !== null) throw new Error(`redis-server ended: ${log}`);
        return log.includes("Ready to accept connections");
      },
      20_000,
    );
  }

  /** Ends it, for {@link restart}. */
  async end(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async stop(): Promise<void> {
    await this.end();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Tests that need `redis-server`. Where there is none, they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithRedis(name: string, tests: () => void): void {
  describeNeeding(missingProgram("redis-server"))(name, tests);
}
