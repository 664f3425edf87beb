import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";
import { describeNeeding } from "../needing.ts";
import { missingProgram, PROGRAM_PATH } from "./programs.ts";

/** A `mosquitto` of its own. What it holds survives {@link restart}. */
export class Mosquitto {
  readonly folder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = port;
  }

  /** @param config further lines of its configuration, e.g. `allow_anonymous true` */
  static async start(config: readonly string[] = ["allow_anonymous true"]): Promise<Mosquitto> {
    const folder = await mkdtemp(join(tmpdir(), "faaslane-mosquitto-"));
    const server = new Mosquitto(folder, await freePort());
    const lines = [
      `listener ${server.#port} 127.0.0.1`,
      ...(process.getuid?.() === 0 ? ["user root"] : []),
      "persistence true",
      `persistence_location ${folder}/`,
      "max_inflight_messages 100",
      "max_queued_messages 0",
      ...config,
    ];
    await writeFile(join(folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
    await server.restart();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get url(): string {
    return `mqtt://${this.address}`;
  }

  async restart(): Promise<void> {
    await this.#end("SIGTERM");
    const child = spawn("mosquitto", ["-c", join(this.folder, "mosquitto.conf")], {
      env: { PATH: PROGRAM_PATH },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = child;
    let log = "";
    child.stderr.on("data", (data) => {
      log = (log + data).slice(-10_000);
    });
    child.once("error", (error) => {
      log += String(error);
    });
    await eventually(
      "mosquitto listens",
      async () => {
        if (child.exitCode !== null) throw new Error(`mosquitto ended: ${log}`);
        return await answers(this.#port);
      },
      15_000,
    );
  }

  async stop(): Promise<void> {
    await this.#end("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } finally {
    socket.destroy();
  }
}

/** Tests that need `mosquitto`. Where there is none, they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithMosquitto(name: string, tests: () => void): void {
  describeNeeding(missingProgram("mosquitto"))(name, tests);
}
