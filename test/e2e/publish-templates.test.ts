import { execFile, spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parseManifest } from "../../oci/manifests.ts";
import { RegistryClient } from "../../oci/registry-client.ts";
import { layOutBash, layOutLibraries, layOutNode, layOutPython } from "../support/base-images.ts";
import { DockerRegistry, describeWithRegistry } from "../support/docker-registry.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { openNpmRegistry } from "../support/npm-registry.ts";
import { HERE, pushBase } from "../support/oci-images.ts";
import { openPackageIndex } from "../support/package-index.ts";
import { runCli, temporaryFolder } from "../support/platform.ts";
import { missingRunc, RuncContainer } from "../support/runc.ts";
import { missingPrograms } from "../templates/support/programs.ts";

/** Images of templates, made without an engine, read by skopeo and run by runc: neither is of this project. */
const run = promisify(execFile);
const missing = unlessRequired(missingPrograms("skopeo", "ldd")) ?? missingRunc();
const hasGo = spawnSync("go", ["version"]).status === 0;
const PATH = "PATH=/usr/local/bin:/usr/bin:/bin";

describeWithRegistry("an image by publish", () => {
  let registry: DockerRegistry;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    registry = await DockerRegistry.start();
    folder = await temporaryFolder();
    const client = new RegistryClient({ registry: registry.address });
    const base = async (name: string, layOut: (rootfs: string) => Promise<unknown>) => {
      const rootfs = join(folder.path, "bases", name);
      await mkdir(rootfs, { recursive: true });
      const version = await layOut(rootfs);
      const env = [PATH, ...(typeof version === "string" ? [`PYTHON_VERSION=${version}`] : [])];
      await pushBase(client, name, "1", { layers: [{ folder: rootfs, at: "/" }], env });
      await rm(rootfs, { recursive: true });
    };
    await base("node", layOutNode);
    await base("libraries", layOutLibraries);
    await base("bash", layOutBash);
    await base("python", layOutPython);
  }, 120_000);
  afterAll(async () => {
    await registry.remove();
    await folder.remove();
  });

  const bases = () =>
    Object.entries({ NODE_IMAGE: "node", PYTHON_IMAGE: "python" }).flatMap(([name, base]) => [
      "--build-arg",
      `${name}=${registry.address}/${base}:1`,
    ]);

  /** A new function of the template with these files over the sample, published. */
  async function publish(
    name: string,
    template: string,
    base: string,
    files: Readonly<Record<string, string>> = {},
    { env = {}, flags = [] }: { env?: Record<string, string>; flags?: readonly string[] } = {},
  ) {
    const cwd = join(folder.path, name);
    await mkdir(cwd, { recursive: true });
    // The layer of the watchdog is made once.
    const all = { XDG_CACHE_HOME: join(folder.path, "cache"), ...env };
    const made = await runCli(["new", name, "--lang", template, "--prefix", `${registry.address}/me`], { cwd });
    expect([made.code, made.stderr]).toEqual([0, ""]);
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(cwd, name, path)), { recursive: true });
      await writeFile(join(cwd, name, path), text);
    }
    const args = ["publish", ...bases(), "--build-arg", `BASE_IMAGE=${registry.address}/${base}:1`, ...flags];
    return await runCli(args, { cwd, env: all });
  }

  /** Its files as skopeo fetches them, and how it is to be run. */
  async function unpack(name: string) {
    const source = `docker://${registry.address}/me/${name}:latest`;
    const inspected = await run("skopeo", ["inspect", "--tls-verify=false", "--config", source]);
    const { config, architecture } = JSON.parse(inspected.stdout) as {
      config: { Env: string[]; Cmd: string[]; WorkingDir: string; User: string };
      architecture: string;
    };
    expect(architecture).toBe(HERE.architecture);
    const copied = join(folder.path, `${name}-image`);
    await run("skopeo", ["copy", "--src-tls-verify=false", source, `dir:${copied}`]);
    const { layers } = parseManifest(await readFile(join(copied, "manifest.json")), name);
    const rootfs = join(folder.path, `${name}-rootfs`);
    await mkdir(rootfs);
    for (const { digest } of layers) {
      await run("tar", ["-xzf", join(copied, digest.replace("sha256:", "")), "-C", rootfs]);
    }
    return { config, rootfs };
  }

  async function start(name: string) {
    const { config, rootfs } = await unpack(name);
    const container = new RuncContainer({
      rootfs,
      args: config.Cmd,
      env: [...config.Env, "port=0", "metrics_port=0"],
      cwd: config.WorkingDir,
      uid: Number(config.User),
    });
    const port = await container.says(/listening on port (\d+)/);
    const url = `http://127.0.0.1:${port}`;
    const isReady = async () => (await fetch(`${url}/_/ready`)).status === 200;
    await eventually("the function is ready", isReady, 60_000, 50).catch((cause: unknown) => {
      throw new Error(container.log, { cause });
    });
    return { rootfs, container, url };
  }

  const post = async (url: string, body: string) => {
    const answer = await fetch(url, { method: "POST", body, headers: { "content-type": "text/plain" } });
    return [answer.status, await answer.text()];
  };

  testNeeding(missing)(
    "of python3 has what it requires",
    async () => {
      await using index = await openPackageIndex({ greetings: "def greet(name): return 'Hello, ' + name" });
      const files = {
        "handler.py": "import greetings\n\ndef handle(req):\n    return greetings.greet(req)\n",
        "requirements.txt": "greetings\n",
      };
      const { code, stdout, stderr } = await publish("classic", "python3", "-", files, {
        env: { PIP_INDEX_URL: index.url },
      });
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).not.toContain("me:key");
      const { container, url } = await start("classic");
      await using _ = container;
      expect(await post(url, "Ada")).toEqual([200, "Hello, Ada\n"]);
    },
    300_000,
  );

  testNeeding(missing)(
    "of python3-http serves",
    async () => {
      expect((await publish("events", "python3-http", "-")).stderr).toBe("");
      const { container, url } = await start("events");
      await using _ = container;
      const [status, body] = await post(`${url}/greet`, "hello");
      expect([status, JSON.parse(body as string)]).toEqual([
        200,
        { path: "/greet", method: "POST", received: "hello", contentType: "text/plain" },
      ]);
    },
    300_000,
  );

  testNeeding(missing ?? unlessRequired(hasGo ? undefined : "this machine has no go"))(
    "of golang-http serves on a base that has no shell",
    async () => {
      expect((await publish("compiled", "golang-http", "libraries")).stderr).toBe("");
      const { container, url } = await start("compiled");
      await using _ = container;
      expect(await post(`${url}/greet`, "hello")).toEqual([200, expect.stringContaining("hello")]);
    },
    300_000,
  );

  testNeeding(missing)(
    "of bash-streaming serves",
    async () => {
      expect((await publish("shell", "bash-streaming", "bash")).stderr).toBe("");
      const { container, url } = await start("shell");
      await using _ = container;
      expect(await post(`${url}/greet`, "hello")).toEqual([200, "POST /greet with:\nhello"]);
    },
    300_000,
  );

  testNeeding(missing)(
    "of static serves on a base that has no shell",
    async () => {
      expect((await publish("site", "static", "libraries", { "index.html": "<p>home" })).stderr).toBe("");
      const { container, url } = await start("site");
      await using _ = container;
      const answer = await fetch(url);
      expect([answer.headers.get("content-type"), await answer.text()]).toEqual([
        "text/html; charset=utf-8",
        "<p>home",
      ]);
    },
    300_000,
  );

  testNeeding(missing)(
    "of node-express has a package of a private registry, and nowhere the token",
    async () => {
      const token = "npm_s3cretOfTheTest";
      const source =
        "const app = (req, res) => res.end('by the package');\napp.use = app.handle = app;\nmodule.exports = app;\n";
      await using packages = await openNpmRegistry("@acme/app", source, token);
      const files = {
        "handler.js": 'module.exports = require("@acme/app");\n',
        "package.json": JSON.stringify({ private: true, dependencies: { "@acme/app": "^1.0.0" } }),
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is npm that replaces it
        ".npmrc": `@acme:registry=http://${packages.address}/\n//${packages.address}/:_authToken=${"${NPM_TOKEN}"}\n`,
      };
      const without = await publish("express", "node-express", "-", files);
      expect(without.code).toBe(1);
      expect(without.stdout + without.stderr).toMatch(/E401|401/);
      await rm(join(folder.path, "express"), { recursive: true });

      const { code, stdout, stderr } = await publish("express", "node-express", "-", files, {
        env: { NPM_TOKEN: token },
      });
      expect([code, stderr]).toEqual([0, ""]);
      expect(packages.asked).toContain("/package.tgz");
      expect(stdout).not.toContain(token);
      const { container, url, rootfs } = await start("express");
      await using _ = container;
      expect(await (await fetch(url)).text()).toBe("by the package");
      const app = join(rootfs, "home/app");
      for (const path of await readdir(app, { recursive: true, withFileTypes: true })) {
        expect(path.name).not.toBe(".npmrc");
        if (path.isFile()) expect(await readFile(join(path.parentPath, path.name), "utf8")).not.toContain(token);
      }
    },
    300_000,
  );

  test("for another machine needs an executable of the watchdog for it", async () => {
    const other = { ...HERE, architecture: HERE.architecture === "amd64" ? "arm64" : "amd64" };
    const empty = join(folder.path, "empty");
    await mkdir(empty, { recursive: true });
    const client = new RegistryClient({ registry: registry.address });
    await pushBase(client, "other", "1", { layers: [{ folder: empty, at: "/etc" }], platform: other });
    const platform = `linux/${other.architecture}`;
    const { code, stdout, stderr } = await publish("far", "static", "other", {}, { flags: ["--platforms", platform] });
    expect([code, stdout + stderr]).toEqual([1, expect.stringContaining(`for ${platform} name one with --watchdog`)]);
  }, 60_000);
});
