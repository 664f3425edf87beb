import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Pod, Probe } from "../workloads.ts";
import { LoopbackSubnet } from "./loopback.ts";
import { PodFiles } from "./pod-files.ts";
import { runProbe } from "./probe.ts";
import type { ContainerSpec, Exit, Mount, RunningContainer, Runtime } from "./runtime.ts";

/** What an image is to this runtime. */
export interface ImageSpec {
  /** As of a Dockerfile. */
  readonly env?: Readonly<Record<string, string>>;
  /** Contents by path, in the folder that it runs in. */
  readonly files?: Readonly<Record<string, string>>;
  /** The folder that it runs in, instead of one with `files`. */
  readonly cwd?: string;
  /** What it runs; the watchdog unless given. */
  readonly command?: readonly string[];
}

const WATCHDOG = fileURLToPath(new URL("../../../../dist/watchdog.mjs", import.meta.url));
const SECRETS = "/var/openfaas/secrets";
/** What of a termination message is kept. */
const MESSAGE_CHARS = 4096;

/** Runs containers as processes of this machine, each pod with a loopback address of its own. */
export class ProcessRuntime implements Runtime {
  readonly instant = false;
  readonly #images = new Map<string, ImageSpec>();
  readonly #root: string;
  readonly #subnet: LoopbackSubnet;
  readonly #pods = new Map<string, PodFiles>();
  readonly #running = new Set<ProcessContainer>();
  #onImage: () => void = () => {};

  private constructor(root: string, subnet: LoopbackSubnet) {
    this.#root = root;
    this.#subnet = subnet;
  }

  /** @param images by name */
  static async open(images: Readonly<Record<string, ImageSpec>> = {}): Promise<ProcessRuntime> {
    const subnet = await LoopbackSubnet.open();
    const runtime = new ProcessRuntime(await mkdtemp(join(tmpdir(), "faaslane-kubelet-")), subnet);
    for (const [name, image] of Object.entries(images)) await runtime.addImage(name, image);
    return runtime;
  }

  /** Makes an image one that can be pulled. */
  async addImage(name: string, image: ImageSpec): Promise<void> {
    const cwd = image.cwd ?? join(this.#root, "images", String(this.#images.size));
    await mkdir(cwd, { recursive: true });
    for (const [path, content] of Object.entries(image.files ?? {})) {
      await mkdir(dirname(join(cwd, path)), { recursive: true });
      await writeFile(join(cwd, path), content);
    }
    this.#images.set(name, { ...image, cwd });
    this.#onImage();
  }

  hasImage(image: string): boolean {
    return this.#images.has(image);
  }

  onImage(listener: () => void): void {
    this.#onImage = listener;
  }

  allocateIp(): Promise<string> {
    return Promise.resolve(this.#subnet.take());
  }

  releaseIp(ip: string): void {
    this.#subnet.release(ip);
  }

  async start(
    pod: Pod,
    container: ContainerSpec,
    ip: string,
    output: (line: string) => void,
  ): Promise<RunningContainer> {
    const files = this.#pods.get(pod.metadata.uid) ?? new PodFiles(join(this.#root, "pods", pod.metadata.uid));
    this.#pods.set(pod.metadata.uid, files);
    await files.write(container.mounts);
    if (container.terminationMessagePath !== undefined) await files.addFile(container.terminationMessagePath);
    const image = this.#images.get(container.image) as ImageSpec;
    const running = new ProcessContainer(image, container, { name: pod.metadata.name, ip }, files, output);
    this.#running.add(running);
    void running.ended.then(() => this.#running.delete(running));
    return running;
  }

  async removePod(uid: string): Promise<void> {
    await this.#pods.get(uid)?.remove();
    this.#pods.delete(uid);
  }

  async close(): Promise<void> {
    for (const running of this.#running) running.kill();
    await Promise.all([...this.#running].map((running) => running.ended));
    await rm(this.#root, { recursive: true, force: true, maxRetries: 10 });
    await this.#subnet.close();
  }
}

class ProcessContainer implements RunningContainer {
  readonly ended: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #files: PodFiles;
  readonly #messagePath: string | undefined;
  readonly #target: Parameters<typeof runProbe>[1];

  constructor(
    image: ImageSpec,
    { command, env, ports, terminationMessagePath }: ContainerSpec,
    { name, ip }: { readonly name: string; readonly ip: string },
    files: PodFiles,
    output: (line: string) => void,
  ) {
    this.#files = files;
    this.#messagePath = terminationMessagePath;
    const cwd = image.cwd as string;
    const whole = {
      PATH: process.env.PATH ?? "",
      HOME: cwd,
      // Nodes name their pods' hosts after them.
      HOSTNAME: name,
      ...image.env,
      ...env,
      TMPDIR: files.tmp,
      // In a cluster the folder is at its place, and the address is the container's only one.
      FAASLANE_SECRETS_DIR: files.inside(SECRETS),
      bind_address: ip,
    };
    // Functions name files of mounts as they are in a container.
    const fprocess = env.fprocess?.split(" ").map((part) => files.translate(part));
    if (fprocess !== undefined) Object.assign(whole, { fprocess: fprocess.join(" ") });
    const given = command?.map((part) => files.translate(part));
    const [program, ...args] = given ?? image.command ?? [process.execPath, WATCHDOG];
    const exec = (asked: readonly string[]) => ({
      command: asked.map((part) => files.translate(part)),
      cwd,
      env: whole,
    });
    this.#target = { ip, ports, exec };
    this.#child = spawn(program as string, args, {
      cwd,
      env: whole,
      detached: true,
      // By the channel a watchdog notices when the tests die, and goes too.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const outputs = [this.#child.stdout, this.#child.stderr].filter((stream) => stream !== null);
    for (const stream of outputs) createInterface({ input: stream }).on("line", output);
    this.ended = this.#ending();
  }

  terminate(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGTERM");
  }

  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#killGroup();
  }

  async probe(probe: Probe): Promise<boolean> {
    return await runProbe(probe, this.#target);
  }

  async remount(mounts: readonly Mount[]): Promise<void> {
    await this.#files.write(mounts);
  }

  async #ending(): Promise<Exit> {
    const { promise, resolve } = Promise.withResolvers<Exit>();
    // As a container runtime answers when there is no such program.
    this.#child.once("error", () => resolve({ code: 128, signal: 0 }));
    this.#child.once("exit", (code, signal) => {
      this.#killGroup();
      const number = signal === null ? 0 : constants.signals[signal];
      resolve({ code: code ?? 128 + number, signal: number });
    });
    const closed = once(this.#child, "close");
    const exit = await promise;
    // The last words of a process are read after its end; what it has left behind may hold its pipes open.
    await Promise.race([closed, new Promise((done) => setTimeout(done, 500).unref())]);
    if (this.#messagePath === undefined) return exit;
    // A pod that is removed takes its files with it.
    const message = await readFile(this.#files.inside(this.#messagePath), "utf8").catch(() => "");
    return message === "" ? exit : { ...exit, message: message.slice(0, MESSAGE_CHARS) };
  }

  #killGroup(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
