import { spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithRegistry } from "../support/docker-registry.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { openNpmRegistry } from "../support/npm-registry.ts";
import { HERE, pushBase } from "../support/oci-images.ts";
import { openPackageIndex } from "../support/package-index.ts";
import { PublishedImages } from "../support/published-images.ts";
import { missingRunc, RuncContainer } from "../support/runc.ts";
import { missingPrograms } from "../templates/support/programs.ts";

/** Images of templates, made without an engine, read by skopeo and run by runc: neither is of this project. */
const missing = unlessRequired(missingPrograms("skopeo", "ldd")) ?? missingRunc();
const hasGo = spawnSync("go", ["version"]).status === 0;

describeWithRegistry("an image by publish", () => {
  let images: PublishedImages;
  beforeAll(async () => {
    images = await PublishedImages.open(["node", "libraries", "bash", "python"]);
  }, 120_000);
  afterAll(() => images?.remove());

  const publish: PublishedImages["publish"] = (...args) => images.publish(...args);

  async function start(name: string) {
    const { config, rootfs, architecture } = await images.unpack(name);
    expect(architecture).toBe(HERE.architecture);
    const container = new RuncContainer({
      rootfs,
      args: config.Cmd,
      env: [...config.Env, "port=0", "metrics_port=0"],
      cwd: config.WorkingDir,
      uid: Number(config.User),
    });
    const url = `http://127.0.0.1:${await container.says(/listening on port (\d+)/)}`;
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
      await rm(join(images.path, "express"), { recursive: true });

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

  testNeeding(missing)(
    "gets the token of a private registry by build_secrets, and does not keep it",
    async () => {
      const token = "npm_anotherOneOfTheTest";
      const source = "module.exports = async () => 'with a secret';\n";
      await using packages = await openNpmRegistry("@acme/app", source, token);
      const files = {
        "handler.js": 'module.exports = require("@acme/app");\n',
        "package.json": JSON.stringify({
          private: true,
          scripts: { postinstall: "cat $NPM_CONFIG_USERCONFIG" },
          dependencies: { "@acme/app": "^1.0.0" },
        }),
        "../npm-settings": `@acme:registry=http://${packages.address}/\n//${packages.address}/:_authToken=${token}\n`,
      };
      const stack = `version: 1.0
provider: {name: openfaas}
functions:
  sealed:
    lang: node
    handler: ./sealed
    image: ${images.registry.address}/me/sealed:latest
    build_secrets: {npmrc: ./npm-settings}
`;
      const given = { ...files, "../secrets.yml": stack };
      const { code, stdout, stderr } = await publish("sealed", "node", "-", given, { flags: ["-f", "secrets.yml"] });
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).not.toContain(token);
      const { container, url, rootfs } = await start("sealed");
      await using _ = container;
      expect(await (await fetch(url)).text()).toBe("with a secret");
      for (const entry of await readdir(join(rootfs, "home"), { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) expect(await readFile(join(entry.parentPath, entry.name), "utf8")).not.toContain(token);
      }
    },
    300_000,
  );

  test("for another machine needs an executable of the watchdog for it", async () => {
    const other = { ...HERE, architecture: HERE.architecture === "amd64" ? "arm64" : "amd64" };
    const empty = join(images.path, "empty");
    await mkdir(empty, { recursive: true });
    await pushBase(images.client, "other", "1", { layers: [{ folder: empty, at: "/etc" }], platform: other });
    const platform = `linux/${other.architecture}`;
    const { code, stdout, stderr } = await publish("far", "static", "other", {}, { flags: ["--platforms", platform] });
    expect([code, stdout + stderr]).toEqual([1, expect.stringContaining(`for ${platform} name one with --watchdog`)]);
  }, 60_000);
});
