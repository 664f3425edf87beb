import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { parseManifest } from "../../oci/manifests.ts";
import { RegistryClient } from "../../oci/registry-client.ts";
import { layOutBash, layOutLibraries, layOutNode, layOutPython } from "./base-images.ts";
import { DockerRegistry } from "./docker-registry.ts";
import { pushBase } from "./oci-images.ts";
import { type CliResult, runCli, temporaryFolder } from "./platform.ts";

const run = promisify(execFile);
const PATH = "PATH=/usr/local/bin:/usr/bin:/bin";
const GOCACHE = process.env.GOCACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "go-build");
const BASES = { node: layOutNode, libraries: layOutLibraries, bash: layOutBash, python: layOutPython };

/** How an image is to be run, and its files. */
export interface UnpackedImage {
  readonly rootfs: string;
  readonly architecture: string;
  readonly config: {
    readonly Env: readonly string[];
    readonly Cmd: readonly string[];
    readonly WorkingDir: string;
    readonly User: string;
  };
}

/** A registry with stand-ins for official images, functions that are published to it, and what they become as images. */
export class PublishedImages {
  readonly registry: DockerRegistry;
  readonly client: RegistryClient;
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;

  private constructor(registry: DockerRegistry, folder: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.registry = registry;
    this.client = new RegistryClient({ registry: registry.address });
    this.#folder = folder;
  }

  static async open(bases: readonly (keyof typeof BASES)[]): Promise<PublishedImages> {
    const images = new PublishedImages(await DockerRegistry.start(), await temporaryFolder());
    for (const name of bases) {
      const rootfs = join(images.path, "bases", name);
      await mkdir(rootfs, { recursive: true });
      const version: unknown = await BASES[name](rootfs);
      const env = [PATH, ...(typeof version === "string" ? [`PYTHON_VERSION=${version}`] : [])];
      await pushBase(images.client, name, "1", { layers: [{ folder: rootfs, at: "/" }], env });
      await rm(rootfs, { recursive: true });
    }
    return images;
  }

  /** A folder for all that is made. */
  get path(): string {
    return this.#folder.path;
  }

  /** What a function is pushed as. */
  nameOf(name: string): string {
    return `${this.registry.address}/me/${name}:latest`;
  }

  /**
   * Publishes a new function of the template, with `files` over the sample.
   * @param base for templates that let one choose
   */
  async publish(
    name: string,
    template: string,
    base: string,
    files: Readonly<Record<string, string>> = {},
    { env = {}, flags = [] }: { env?: Record<string, string>; flags?: readonly string[] } = {},
  ): Promise<CliResult> {
    const cwd = join(this.path, name);
    await mkdir(cwd, { recursive: true });
    const { address } = this.registry;
    const made = await runCli(["new", name, "--lang", template, "--prefix", `${address}/me`], { cwd });
    if (made.code !== 0) throw new Error(made.stderr);
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(cwd, name, path)), { recursive: true });
      await writeFile(join(cwd, name, path), text);
    }
    const bases = { NODE_IMAGE: "node", PYTHON_IMAGE: "python", BASE_IMAGE: base };
    const args = Object.entries(bases).flatMap(([key, image]) => ["--build-arg", `${key}=${address}/${image}:1`]);
    // The layer of the watchdog is made once, and Go's library is compiled once for all tests.
    const all = { XDG_CACHE_HOME: join(this.path, "cache"), GOCACHE, ...env };
    return await runCli(["publish", ...args, ...flags], { cwd, env: all });
  }

  /** Reads an image by `skopeo`, which is not of this project. */
  async unpack(name: string): Promise<UnpackedImage> {
    const source = `docker://${this.nameOf(name)}`;
    const inspected = await run("skopeo", ["inspect", "--tls-verify=false", "--config", source]);
    const copied = join(this.path, `${name}-image`);
    await run("skopeo", ["copy", "--src-tls-verify=false", source, `dir:${copied}`]);
    const { layers } = parseManifest(await readFile(join(copied, "manifest.json")), name);
    const rootfs = join(this.path, `${name}-rootfs`);
    await mkdir(rootfs);
    for (const { digest } of layers) {
      await run("tar", ["-xzf", join(copied, digest.replace("sha256:", "")), "-C", rootfs]);
    }
    return { ...(JSON.parse(inspected.stdout) as Omit<UnpackedImage, "rootfs">), rootfs };
  }

  async remove(): Promise<void> {
    await this.registry.remove();
    await this.#folder.remove();
  }
}
