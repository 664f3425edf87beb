import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

export const PROGRAM = "docker-registry";

/** Debian's `docker-registry`, the reference implementation, on a folder of its own. */
export class DockerRegistry {
  /** `host:port`. */
  readonly address: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(address: string, folder: string, child: ChildProcess) {
    this.address = address;
    this.#folder = folder;
    this.#process = child;
  }

  static async start(): Promise<DockerRegistry> {
    const folder = await mkdtemp(join(tmpdir(), "faaslane-registry-"));
    const address = `127.0.0.1:${await freePort()}`;
    const config = join(folder, "config.yml");
    await writeFile(
      config,
      JSON.stringify({
        version: "0.1",
        log: { accesslog: { disabled: true }, level: "error" },
        storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
        http: { addr: address },
      }),
    );
    const child = spawn(PROGRAM, ["serve", config], { stdio: ["ignore", "ignore", "ignore"] });
    const registry = new DockerRegistry(address, folder, child);
    await eventually(
      "the registry answers",
      async () => (await fetch(`http://${address}/v2/`).catch(() => undefined))?.ok,
    );
    return registry;
  }

  async remove(): Promise<void> {
    if (this.#process.exitCode === null) {
      const gone = once(this.#process, "exit");
      this.#process.kill("SIGKILL");
      await gone;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}
