import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import type { RegistryLogin } from "../../oci/docker-config.ts";
import { parseConfig, parseManifest } from "../../oci/manifests.ts";
import { RegistryClient } from "../../oci/registry-client.ts";
import { layOutNode } from "../support/base-images.ts";
import { describeWithBubblewrap } from "../support/bubblewrap.ts";
import { DockerRegistry, describeWithRegistry } from "../support/docker-registry.ts";
import { eventually } from "../support/eventually.ts";
import { pushBase } from "../support/oci-images.ts";
import { COMPILE_CACHE, ROOT, temporaryFolder } from "../support/platform.ts";

const run = promisify(execFile);
const { signal } = new AbortController();

/** A registry that images are pushed to, and how to log in to it. */
interface Peer {
  readonly address: string;
  readonly login?: RegistryLogin;
  remove(): Promise<void>;
}

/** `faaslane registry` in a process of its own, as a user that is not root where there is a choice. */
async function startOwn(): Promise<Peer> {
  const { path, remove } = await temporaryFolder();
  await chmod(path, 0o755);
  const dataDir = join(path, "data");
  await mkdir(dataDir);
  const login = { username: "admin", password: "of the registry" };
  await writeFile(join(path, "basic-auth-user"), login.username);
  await writeFile(join(path, "basic-auth-password"), login.password);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) await chown(dataDir, 1234, 1234);
  const prefix = isRoot ? ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "--"] : [];
  const flags = ["--disable-warning=ExperimentalWarning", join(ROOT, "cli/main.ts"), "registry"];
  const [command = "", ...args] = [...prefix, process.execPath, ...flags];
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, port: "0", data_dir: dataDir, secret_mount_path: path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "exit");
  const address = await eventually("it listens", () => /"http:\/\/(127\.0\.0\.1:\d+)"/.exec(output)?.[1], 30_000).catch(
    () => Promise.reject(new Error(output)),
  );
  return {
    address,
    login,
    async remove() {
      child.kill("SIGTERM");
      await ended;
      await remove();
    },
  };
}

const withDebians = [describeWithRegistry, "Debian's registry", () => DockerRegistry.start() as Promise<Peer>] as const;
const withOurs = [describe, "our own registry", startOwn] as const;

for (const [describeIt, name, start] of [withDebians, withOurs])
  describeIt(`faaslane publish to ${name}`, () => {
    let registry: Peer;
    const open = () => new RegistryClient({ registry: registry.address, login: registry.login });
    let folder: Awaited<ReturnType<typeof temporaryFolder>>;
    let project = "";
    let running: ChildProcess | undefined;
    const env = () => ({ ...COMPILE_CACHE, PATH: process.env.PATH, HOME: folder.path });
    const faaslane = (...args: string[]) =>
      run(process.execPath, ["--disable-warning=ExperimentalWarning", join(ROOT, "cli/main.ts"), ...args], {
        cwd: project,
        env: env(),
      });
    const publish = (...flags: string[]) =>
      faaslane("publish", "--build-arg", `NODE_IMAGE=${registry.address}/node:24`, ...flags);

    beforeAll(async () => {
      registry = await start();
      folder = await temporaryFolder();
      if (registry.login) {
        const auth = btoa(`${registry.login.username}:${registry.login.password}`);
        await mkdir(join(folder.path, ".docker"));
        await writeFile(
          join(folder.path, ".docker/config.json"),
          JSON.stringify({ auths: { [registry.address]: { auth } } }),
        );
      }
      const rootfs = join(folder.path, "node");
      await layOutNode(rootfs);
      await pushBase(open(), "node", "24", {
        layers: [{ folder: rootfs, at: "/" }],
        env: ["PATH=/usr/local/bin:/usr/bin"],
      });
      project = join(folder.path, "project");
      await mkdir(project);
      await faaslane("new", "hello", "--lang", "node", "--prefix", `${registry.address}/me`);
    }, 120_000);
    afterEach(() => {
      running?.kill("SIGKILL");
    });
    afterAll(async () => {
      await registry?.remove();
      await folder?.remove();
    });

    /** What a container runtime makes of an image: its files on top of each other, and what to run. */
    async function pull(reference: string) {
      const client = open();
      const found = await client.fetchManifest("me/hello", reference, signal);
      const manifest = parseManifest(found.bytes, "it");
      const config = parseConfig(await client.fetchBlob("me/hello", manifest.config.digest, 1e6, signal), "it");
      const rootfs = join(folder.path, "rootfs");
      await mkdir(rootfs, { recursive: true });
      for (const { digest } of manifest.layers) {
        const tar = spawn("tar", ["-xz", "-C", rootfs], { stdio: ["pipe", "ignore", "inherit"] });
        const ended = once(tar, "exit");
        (await client.openBlob("me/hello", digest, signal)).pipe(tar.stdin);
        expect(await ended).toEqual([0, null]);
      }
      return { rootfs, digest: found.digest, run: config.config as Record<string, string | string[]> };
    }

    test("puts an image into the registry, says which, and sends nothing twice", async () => {
      const first = await publish();
      const [, digest] = /me\/hello:latest@(sha256:\w{64})\n$/.exec(first.stdout) ?? [];
      expect((await pull("latest")).digest).toBe(digest);
      const again = await publish("--extra-tag", "second", "--extra-tag=third");
      expect(again.stdout + again.stderr).toMatch(/pushed 0 bytes/);
      expect(again.stdout).toContain(digest);
      for (const tag of ["second", "third"]) expect(await open().resolveDigest("me/hello", tag, signal)).toBe(digest);
    }, 120_000);

    test("says what is missing", async () => {
      const failed = await faaslane("publish", "--build-arg", `NODE_IMAGE=${registry.address}/missing:1`).catch(
        (error: { stderr: string; stdout: string; code: number }) => error,
      );
      expect(failed).toMatchObject({ code: 1 });
      expect(failed.stderr + failed.stdout).toMatch(/hello.*cannot read missing:1.*MANIFEST_UNKNOWN/s);
    }, 60_000);

    describeWithBubblewrap("an image of it", () => {
      test("answers calls, as the user that functions run as on Kubernetes", async () => {
        await writeFile(
          join(project, "hello/handler.js"),
          "module.exports = async (event, context) => context.succeed([process.getuid(), event.body].join(' got '));\n",
        );
        await publish();
        const image = await pull("latest");
        const variables = (image.run.Env as string[]).flatMap((entry) => {
          const [name = "", ...value] = entry.split("=");
          return ["--setenv", name, value.join("=")];
        });
        const inside = [
          "--bind",
          image.rootfs,
          "/",
          "--proc",
          "/proc",
          "--dev",
          "/dev",
          "--tmpfs",
          "/tmp",
          "--clearenv",
        ];
        const user = ["--unshare-user", "--uid", String(image.run.User), "--unshare-pid", "--die-with-parent"];
        const port = ["--setenv", "port", "0", "--setenv", "metrics_port", "0"];
        const where = ["--chdir", String(image.run.WorkingDir)];
        const args = [...inside, ...user, ...variables, ...port, ...where, ...(image.run.Cmd as string[])];
        running = spawn("bwrap", args, { stdio: ["ignore", "pipe", "pipe"] });
        let output = "";
        for (const stream of [running.stdout, running.stderr]) {
          stream?.setEncoding("utf8").on("data", (text: string) => {
            output += text;
          });
        }
        const address = `127.0.0.1:${await eventually(
          "it listens",
          () => /listening on port (\d+)/.exec(output)?.[1],
          30_000,
        ).catch(() => Promise.reject(new Error(output)))}`;
        const answer = await fetch(`http://${address}/`, {
          method: "POST",
          body: "this",
          headers: { "content-type": "text/plain" },
        });
        expect(await answer.text()).toBe("12000 got this");
      }, 120_000);
    });
  });
