import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";
import { describeNeeding } from "../needing.ts";
import { missingProgram, PROGRAM_PATH } from "./programs.ts";

/** Runs as whoever starts it, unlike the one on the path of Debian. */
const SCRIPTS = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"];

/** A `rabbitmq-server` of its own, with the user `guest`. */
export class RabbitMq {
  readonly folder: string;
  readonly #port: number;
  readonly #processes: readonly ChildProcess[];

  private constructor(folder: string, port: number, processes: readonly ChildProcess[]) {
    this.folder = folder;
    this.#port = port;
    this.#processes = processes;
  }

  /** @param config further lines of its configuration */
  static async start(config: readonly string[] = []): Promise<RabbitMq> {
    const folder = await mkdtemp(join(tmpdir(), "faaslane-rabbitmq-"));
    const [port, distribution, names] = [await freePort(), await freePort(), await freePort()];
    await writeFile(join(folder, "enabled_plugins"), "[].\n");
    await writeFile(
      join(folder, "rabbitmq.conf"),
      ["loopback_users = none", "vm_memory_high_watermark.absolute = 1GB", ...config, ""].join("\n"),
    );
    const env = {
      PATH: PROGRAM_PATH,
      HOME: folder,
      ERL_EPMD_ADDRESS: "127.0.0.1",
      ERL_EPMD_PORT: String(names),
      RABBITMQ_NODENAME: `faaslane-${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
      RABBITMQ_LOG_BASE: join(folder, "log"),
      RABBITMQ_LOGS: "-",
      RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
      RABBITMQ_PID_FILE: join(folder, "pid"),
    };
    // Otherwise the server starts one that stays when it has gone.
    const epmd = spawn("epmd", ["-port", String(names), "-address", "127.0.0.1"], { env, stdio: "ignore" });
    const script = SCRIPTS.find((each) => existsSync(each)) ?? "rabbitmq-server";
    const child = spawn(script, [], { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const server = new RabbitMq(folder, port, [child, epmd]);
    let log = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => {
        log = (log + data).slice(-20_000);
      });
    }
    for (const each of [child, epmd]) {
      each.once("error", (error) => {
        log += String(error);
      });
    }
    try {
      await eventually(
        "rabbitmq-server is ready",
        () => {
          if (child.exitCode !== null) throw new Error(`rabbitmq-server ended: ${log.slice(-3000)}`);
          return log.includes("Server startup complete");
        },
        90_000,
        50,
      );
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** For sources and sinks, which have their login beside it. */
  get url(): string {
    return `amqp://${this.address}`;
  }

  /** For the client itself. */
  get loginUrl(): string {
    return `amqp://guest:guest@${this.address}`;
  }

  async stop(): Promise<void> {
    for (const [place, child] of this.#processes.entries()) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
      // Of the script it is the group, which is its own.
      process.kill(place === 0 ? -child.pid : child.pid, "SIGKILL");
      await once(child, "exit");
    }
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Tests that need `rabbitmq-server`. Where there is none, they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithRabbitMq(name: string, tests: () => void): void {
  describeNeeding(missingProgram("rabbitmq-server"))(name, tests);
}
