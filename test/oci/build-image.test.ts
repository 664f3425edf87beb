import { execFile, spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { BuildEvent } from "../../contract/build.ts";
import { buildImage, type ImageBuild } from "../../oci/build-image.ts";
import { writeLayer } from "../../oci/layer.ts";
import { parseConfig, parseManifest } from "../../oci/manifests.ts";
import { RegistryClient } from "../../oci/registry-client.ts";
import { DockerRegistry, describeWithRegistry } from "../support/docker-registry.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { HERE, pushBase } from "../support/oci-images.ts";
import { isRunning } from "../support/platform.ts";

const { signal } = new AbortController();
const hasSkopeo = spawnSync("skopeo", ["--version"]).status === 0;
const testWithSkopeo = testNeeding(unlessRequired(hasSkopeo ? undefined : "skopeo is not installed"));
const OTHER = { os: "linux", architecture: HERE.architecture === "amd64" ? "arm64" : "amd64" };

describeWithRegistry("images built without an engine", () => {
  let registry: DockerRegistry;
  let client: RegistryClient;
  let folder: string;

  beforeAll(async () => {
    registry = await DockerRegistry.start();
    client = new RegistryClient({ registry: registry.address });
    const rootfs = await mkdtemp(join(tmpdir(), "faaslane-rootfs-"));
    await writeFile(join(rootfs, "motd"), "a base\n");
    const layers = [{ folder: rootfs, at: "/etc" }];
    const env = ["PATH=/usr/local/bin:/usr/bin", "mode=streaming"];
    await pushBase(client, "base/node", "24", { layers, env, labels: { of: "base" } });
    await pushBase(client, "base/docker", "24", { layers, docker: true });
    await pushBase(client, "base/other", "24", { layers, platform: OTHER });
    await rm(rootfs, { recursive: true });
  });
  afterAll(() => registry.remove());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "faaslane-image-test-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const descriptor = (more: object = {}, base = "base/node:24") => ({
    env: { mode: "inproc", greeting: "a=b" },
    image: { base: `${registry.address}/${base}`, dependencies: ["function/node_modules", "vendor"] },
    ...more,
  });

  /** A context such as a template makes. */
  async function context(name: string, described: object = descriptor()): Promise<string> {
    const root = join(folder, name);
    await mkdir(join(root, "function/node_modules/.bin"), { recursive: true });
    await writeFile(join(root, "faaslane.json"), JSON.stringify(described));
    await writeFile(join(root, "Dockerfile"), "FROM scratch\n");
    await writeFile(join(root, "index.mjs"), "export {};\n");
    await writeFile(join(root, "function/handler.js"), "module.exports = async () => 'hi';\n");
    await writeFile(join(root, "function/node_modules/dep.js"), "1;\n", { mode: 0o755 });
    await symlink("../dep.js", join(root, "function/node_modules/.bin/dep"));
    return root;
  }

  async function build(job: Partial<ImageBuild> & Pick<ImageBuild, "folder">) {
    const events: BuildEvent[] = [];
    const tmp = join(folder, "tmp");
    await mkdir(tmp, { recursive: true });
    const watchdog = join(folder, "watchdog.mjs");
    await writeFile(watchdog, "the watchdog\n");
    const whole: ImageBuild = {
      image: `${registry.address}/functions/echo:1`,
      buildArgs: {},
      platforms: [HERE],
      here: HERE,
      watchdog,
      executable: async (platform, folder) => {
        const program = join(folder, "program");
        await mkdir(program, { recursive: true });
        await writeFile(join(program, "fwatchdog"), `for ${platform.architecture}\n`, { mode: 0o755 });
        return await writeLayer({ folder: program, at: "/usr/bin" }, join(folder, "watchdog"), signal);
      },
      tmp,
      env: { PATH: process.env.PATH as string },
      timeoutMs: 30_000,
      maxOutputBytes: 100_000,
      clientOf: (host) => new RegistryClient({ registry: host }),
      ...job,
    };
    for await (const event of buildImage(whole, signal)) events.push(event);
    const log = events.flatMap((event) => (event.status === "in_progress" ? event.log : []));
    const last = events.at(-1);
    return {
      log,
      digest: last?.status === "success" ? last.image.split("@")[1] : undefined,
      error: last?.status === "failed" ? last.error : undefined,
      sent: Number(log.find((line) => line.startsWith("pushed"))?.split(" ")[1]),
    };
  }

  async function read(reference: string) {
    const found = await client.fetchManifest("functions/echo", reference, signal);
    const manifest = parseManifest(found.bytes, reference);
    const config = parseConfig(
      await client.fetchBlob("functions/echo", manifest.config.digest, 1e6, signal),
      reference,
    );
    return { ...found, manifest, config };
  }

  /** The paths in a layer. */
  async function list(digest: string): Promise<string[]> {
    const file = join(folder, "listed");
    await pipeline(await client.openBlob("functions/echo", digest, signal), createWriteStream(file));
    return (await promisify(execFile)("tar", ["-tzf", file])).stdout.split("\n");
  }

  test("run the watchdog with the function's variables over those of the base", async () => {
    const { digest, error } = await build({ folder: await context("one") });
    expect(error).toBeUndefined();
    const image = await read("1");
    expect(image.digest).toBe(digest);
    expect(image.config).toMatchObject({
      ...HERE,
      config: {
        Env: ["PATH=/usr/local/bin:/usr/bin", "mode=inproc", "greeting=a=b"],
        Cmd: ["node", "/usr/bin/watchdog.mjs"],
        WorkingDir: "/home/app",
        User: "12000",
        ExposedPorts: { "8080/tcp": {} },
        Labels: { of: "base", "org.opencontainers.image.base.name": `${registry.address}/base/node:24` },
      },
    });
    expect(image.manifest.layers).toHaveLength(4);
    expect(image.config.rootfs.diff_ids).toHaveLength(4);
    expect(image.config.history?.map((entry) => entry.created_by)).toEqual([
      "a base",
      "faaslane: watchdog",
      "faaslane: function/node_modules",
      "faaslane: function",
    ]);
  });

  test("are the same for the same files, whenever and in whatever order they were written", async () => {
    const first = await build({ folder: await context("one") });
    const again = await context("two");
    await utimes(join(again, "index.mjs"), new Date(1e12), new Date(1e12));
    await cp(join(again, "index.mjs"), join(folder, "copy"));
    await rm(join(again, "index.mjs"));
    await cp(join(folder, "copy"), join(again, "index.mjs"));
    const second = await build({ folder: again });
    expect(second).toMatchObject({ digest: first.digest, sent: 0 });
  });

  test("cost one small layer when the handler changes", async () => {
    const big = await context("one");
    await writeFile(join(big, "function/node_modules/big.bin"), Buffer.alloc(300_000, Math.random().toString()));
    const first = await build({ folder: big });
    expect(first.error).toBeUndefined();
    const before = await read("1");
    const changed = await context("two");
    await cp(join(big, "function/node_modules/big.bin"), join(changed, "function/node_modules/big.bin"));
    await writeFile(join(changed, "function/handler.js"), "module.exports = async () => 'changed';\n");
    const { sent } = await build({ folder: changed });
    const after = await read("1");
    expect(after.manifest.layers.slice(0, 3)).toEqual(before.manifest.layers.slice(0, 3));
    expect(after.manifest.layers[3]).not.toEqual(before.manifest.layers[3]);
    expect(sent).toBeLessThan(5_000);
  });

  test("keep the family of media types of their base", async () => {
    await build({ folder: await context("one", descriptor({}, "base/docker:24")) });
    const { mediaType, manifest } = await read("1");
    const types = [mediaType, manifest.config.mediaType, ...manifest.layers.map((layer) => layer.mediaType)];
    expect(types.filter((type) => !type.startsWith("application/vnd.docker."))).toEqual([]);
  });

  test("for several platforms are one index", async () => {
    const base = `${registry.address}/base/both:1`;
    const [here, other] = await Promise.all(
      ["base/node", "base/other"].map((name) => client.fetchManifest(name, "24", signal)),
    );
    const entries = [
      [here, HERE],
      [other, OTHER],
    ] as const;
    for (const [, from] of [
      [here, "base/node"],
      [other, "base/other"],
    ] as const) {
      const source = await client.fetchManifest(from, "24", signal);
      const { config, layers } = parseManifest(source.bytes, from);
      for (const { digest, size } of [config, ...layers]) {
        const blob = { digest, size, open: () => client.openBlob(from, digest, signal) };
        await client.pushBlob("base/both", blob, signal, from);
      }
      await client.pushManifest("base/both", source.digest, source, signal);
    }
    const manifests = entries.map(([found, platform]) => ({
      mediaType: found?.mediaType,
      digest: found?.digest,
      size: found?.bytes.length,
      platform,
    }));
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    await client.pushManifest("base/both", "1", { bytes: index, mediaType }, signal);

    const described = descriptor();
    described.image.base = base;
    const { digest, error } = await build({ folder: await context("one", described), platforms: [HERE, OTHER] });
    expect(error).toBeUndefined();
    const found = await client.fetchManifest("functions/echo", "1", signal);
    expect(found).toMatchObject({ digest, mediaType });
    const listed = JSON.parse(found.bytes.toString()) as { manifests: { platform: object; digest: string }[] };
    expect(listed.manifests.map(({ platform }) => platform)).toEqual([HERE, OTHER]);
    for (const one of listed.manifests) expect((await read(one.digest)).config).toMatchObject(one.platform);
  });

  test("have what their install step has made, and tell what it has said", async () => {
    const install = ["sh", "-c", "echo installing; mkdir vendor; echo made > vendor/made"];
    const { log, error } = await build({ folder: await context("one", descriptor({ install })) });
    expect(error).toBeUndefined();
    expect(log).toContain("installing");
    expect((await read("1")).config.history?.map((entry) => entry.created_by)).toContain("faaslane: vendor");
  });

  test("have the watchdog as one program where the base has no Node", async () => {
    const image = { ...descriptor().image, watchdog: "executable" };
    const { error } = await build({ folder: await context("one", descriptor({ image })) });
    expect(error).toBeUndefined();
    const { config } = await read("1");
    expect(config.config).toMatchObject({ Cmd: ["/usr/bin/fwatchdog"], Entrypoint: [] });
    expect(config.history?.map((entry) => entry.created_by).slice(0, 2)).toEqual(["a base", "faaslane: watchdog"]);
  });

  test("hold no settings of package managers, which tokens are in", async () => {
    const root = await context("one");
    const hidden = [".npmrc", "function/.npmrc", "function/pip.conf", "function/node_modules/.npmrc", "vendor/.netrc"];
    await mkdir(join(root, "vendor"));
    for (const path of hidden) await writeFile(join(root, path), "//host/:_authToken=s3cret\n");
    const install = ["sh", "-c", "echo $A_TOKEN; cat .npmrc; echo http://me:s3cret@host/; touch vendor/made"];
    const env = { PATH: process.env.PATH as string, A_TOKEN: "t0psecret" };
    await writeFile(join(root, "faaslane.json"), JSON.stringify(descriptor({ install })));
    const { error, log } = await build({ folder: root, env });
    expect(error).toBeUndefined();
    expect(log.filter((line) => /s3cret|t0psecret/.test(line))).toEqual([]);
    expect(log).toEqual(expect.arrayContaining(["***", "//host/:_authToken=***", "http://***@host/"]));
    for (const { digest } of (await read("1")).manifest.layers) {
      const files = await list(digest);
      expect(files.filter((path) => /npmrc|pip\.conf|netrc/.test(path))).toEqual([]);
    }
  });

  test("tell their install step what they are for", async () => {
    const install = ["sh", "-c", "echo $TARGETPLATFORM $TARGETOS $TARGETARCH $mode [$greeting]"];
    const image = { ...descriptor().image, fromBase: ["mode"] };
    const { log } = await build({ folder: await context("one", descriptor({ install, image })) });
    expect(log).toContain(`linux/${HERE.architecture} linux ${HERE.architecture} streaming []`);
  });

  test("of an install step that hangs show what it said, and leave nothing of it", async () => {
    const pid = join(folder, "pid");
    const install = ["sh", "-c", `echo the last words; sleep 600 & echo $! > ${pid}; wait`];
    const { error, log } = await build({ folder: await context("one", descriptor({ install })), timeoutMs: 1500 });
    expect(error).toBe("the install step took longer than 1.5 s");
    expect(log).toContain("the last words");
    expect(await isRunning(Number(await readFile(pid, "utf8")))).toBe(false);
  });

  test("for another machine may hold what an install step has compiled for it", async () => {
    const made = (machine: number) => {
      const head = Buffer.alloc(64);
      head.write("\x7fELF\x02\x01", "latin1");
      head.writeUInt16LE(machine, 18);
      return head;
    };
    const described = descriptor({}, "base/other:24");
    const [fit, unfit] = HERE.architecture === "amd64" ? [183, 62] : [62, 183];
    const root = await context("one", described);
    await writeFile(join(root, "handler"), made(fit), { mode: 0o755 });
    expect((await build({ folder: root, platforms: [OTHER] })).error).toBeUndefined();
    await writeFile(join(root, "handler"), made(unfit), { mode: 0o755 });
    expect((await build({ folder: root, platforms: [OTHER] })).error).toBe(
      `handler is compiled for linux/${HERE.architecture}; it cannot be part of an image for linux/${OTHER.architecture}: ` +
        "publish on such a machine, or leave out what is compiled",
    );
  });

  test.each<[string, (root: string) => Promise<object>, Partial<ImageBuild>, RegExp]>([
    ["an install step that fails", async () => descriptor({ install: ["sh", "-c", "exit 3"] }), {}, /install step.*3/],
    [
      "an install step that hangs",
      async () => descriptor({ install: ["sleep", "600"] }),
      { timeoutMs: 100 },
      /longer than/,
    ],
    ["a descriptor without an image", async () => ({ env: {} }), {}, /has no "image"/],
    ["a base that is not there", async () => descriptor({}, "base/missing:1"), {}, /base\/missing.*MANIFEST_UNKNOWN/],
    ["a base for another machine", async () => descriptor({}, "base/other:24"), {}, /is for linux\/.*, not linux\//],
    ["a name that is none", async () => descriptor(), { image: "Not A Name" }, /is no image name/],
    [
      "a path that leads out",
      async () => ({ image: { base: "x", dependencies: ["../x"] } }),
      {},
      /inside of the context/,
    ],
    [
      "compiled code for another machine",
      async (root) => {
        await writeFile(join(root, "function/node_modules/addon.node"), "ELF");
        return descriptor({}, "base/other:24");
      },
      { platforms: [OTHER] },
      /addon\.node is compiled for/,
    ],
    [
      "a named pipe",
      async (root) => {
        await promisify(execFile)("mkfifo", [join(root, "function/pipe")]);
        return descriptor();
      },
      {},
      /function\/pipe is no file/,
    ],
  ])("are not made of %s", async (_what, prepare, job, why) => {
    const root = await context("one");
    await writeFile(join(root, "faaslane.json"), JSON.stringify(await prepare(root)));
    const before = await client.fetchManifest("functions/echo", "1", signal).catch(() => undefined);
    const { error, digest } = await build({ folder: root, ...job });
    expect(error).toMatch(why);
    expect(digest).toBeUndefined();
    const after = await client.fetchManifest("functions/echo", "1", signal).catch(() => undefined);
    expect(after?.digest).toBe(before?.digest);
  });

  testWithSkopeo("are whole to an independent reader", async () => {
    await build({ folder: await context("one") });
    const target = join(folder, "copied");
    const source = `docker://${registry.address}/functions/echo:1`;
    await promisify(execFile)("skopeo", ["copy", "--src-tls-verify=false", source, `dir:${target}`]);
    const manifest = parseManifest(await readFile(join(target, "manifest.json")), "copied");
    const [top] = manifest.layers.slice(-1);
    const { stdout } = await promisify(execFile)("tar", [
      "-tvzf",
      join(target, String(top?.digest).replace("sha256:", "")),
    ]);
    const lines = stdout.trim().split("\n");
    expect(lines.map((line) => line.split(" ").at(-1))).toEqual([
      "home/app/function/",
      "home/app/function/handler.js",
      "home/app/index.mjs",
    ]);
    expect(lines.every((line) => /0\/0|root\/root/.test(line) && line.includes("1970-01-01"))).toBe(true);
  });
});
