import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { parseTemplate } from "../../../cli/stack/template.ts";
import { addOthers, readOwnStore } from "../../../cli/store/function-store.ts";
import { decodeFunctionStore } from "../../../contract/store.ts";
import { json, jsonOf } from "../support/fake-gateway.ts";
import { ROOT } from "../support/run-cli.ts";
import { accepted, openScene } from "../support/scene.ts";

const FIGLET = {
  name: "figlet",
  title: "Figlet",
  description: "Large letters",
  author: "them",
  repo_url: "https://example.com/figlet",
  images: { x86_64: "example.com/figlet:1.0", arm64: "example.com/figlet:1.0-arm64" },
  fprocess: "figlet",
  environment: { write_timeout: "1m" },
  labels: { "com.openfaas.ui.ext": "txt" },
  annotations: { topic: "x" },
  readOnlyRootFilesystem: true,
};
const ARM_ONLY = { name: "armed", title: "Armed", images: { armhf: "armed:1" } };
const STORE = { version: "0.2.0", functions: [FIGLET, ARM_ONLY] };
const OWN = {
  functions: [
    { name: "greet", title: "Greet", images: { x86_64: "greet:latest" }, source: { lang: "node", handler: "greet" } },
  ],
};
const FILES = {
  "store.json": JSON.stringify(STORE),
  "source/functions/store.json": JSON.stringify(OWN),
  "source/functions/greet/handler.js": "greets",
  "source/templates/node/template.yml": "",
  "source/templates/node/function/handler.js": "sample",
};
const none = { OPENFAAS_STORE: "" };
const names = (stdout: string) => (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);

describe("store list", () => {
  test("lists what there is for a platform", async () => {
    await using scene = await openScene(() => json(STORE), FILES);
    expect((await scene.run(`store list -u ${scene.gateway.url}/f.json`)).stdout).toBe(
      "NAME    TITLE   AUTHOR  DESCRIPTION\nfiglet  Figlet  them    Large letters\n",
    );
    const env = { OPENFAAS_STORE: "store.json" };
    expect(names((await scene.run("store list --json -p linux/arm/v6", { env })).stdout)).toEqual(["armed"]);
    expect(names((await scene.run("store list --json -p ARM64", { env })).stdout)).toEqual(["figlet"]);
  });

  test("shows what comes with faaslane where no other store can be reached, and says so in a line", async () => {
    await using scene = await openScene(accepted, FILES);
    const own = await readOwnStore(join(scene.workspace.path, "source"));
    const warnings: string[] = [];
    const settings = { baseDir: scene.workspace.path, warn: (message: string) => void warnings.push(message) };
    expect(await addOthers(own, "http://127.0.0.1:1/", settings)).toEqual(own);
    expect(warnings).toEqual([
      expect.stringMatching(/^the function store at http:.* cannot be read: .*OPENFAAS_STORE$/),
    ]);
    const both = await addOthers(own, "store.json", settings);
    expect(both.map(({ name }) => name)).toEqual(["greet", "figlet", "armed"]);
  });

  test("says in a line that the store which was named cannot be read", async () => {
    await using scene = await openScene(accepted, FILES);
    const { code, stdout, stderr } = await scene.run("store list -u http://127.0.0.1:1/");
    expect([code, stdout, stderr.trim().split("\n").length]).toEqual([1, "", 1]);
    expect(stderr).toContain("cannot be read: this machine is offline or cannot reach it");
  });
});

test("store describe shows a function, by its name or its title", async () => {
  await using scene = await openScene(accepted, FILES);
  const { stdout } = await scene.run("store describe Figlet -u store.json");
  expect(stdout).toContain("Name:            figlet\n");
  expect(stdout).toContain("Images:          x86_64=example.com/figlet:1.0\n");
  expect(stdout).toContain("Environment:     write_timeout=1m\n");
  expect((await scene.run("store inspect figlet -u store.json")).stdout).toBe(stdout);
  expect((await scene.run("store inspect nothing -u store.json")).stderr).toBe(
    'Error: the store has no function "nothing" for this platform\n',
  );
});

describe("store deploy", () => {
  test("deploys the image with all that the store says, which wins over labels of flags", async () => {
    await using scene = await openScene(accepted, FILES);
    const flags = "-e a=1 -e write_timeout=2m -l com.openfaas.ui.ext=png -l b=2 -n dev --secret s";
    const { code, stderr } = await scene.run(`store deploy figlet -u store.json ${flags}`);
    expect([code, stderr]).toEqual([0, ""]);
    expect(jsonOf(scene.gateway.seen.at(-1) as never)).toEqual({
      service: "figlet",
      namespace: "dev",
      image: "example.com/figlet:1.0",
      envProcess: "figlet",
      envVars: { write_timeout: "2m", a: "1" },
      secrets: ["s"],
      labels: { "com.openfaas.ui.ext": "txt", b: "2" },
      annotations: { topic: "x" },
      readOnlyRootFilesystem: true,
    });
  });

  test("takes the image of the platform, under another name", async () => {
    await using scene = await openScene(accepted, FILES);
    await scene.run("store deploy figlet -u store.json -p linux/arm64 --name big --fprocess own --cpu-limit 1");
    expect(jsonOf(scene.gateway.seen.at(-1) as never)).toMatchObject({
      service: "big",
      image: "example.com/figlet:1.0-arm64",
      envProcess: "own",
      limits: { cpu: "1" },
    });
  });

  test("builds what comes with faaslane, without asking any other store", async () => {
    const built = { status: 200, body: '{"status":"success","image":"greet:latest@sha256:1"}\n' };
    await using scene = await openScene(({ path }) => (path.startsWith("/system/build") ? built : accepted()), FILES);
    const { code, stderr } = await scene.run("store deploy greet", { env: none });
    expect([code, stderr]).toEqual([0, ""]);
    expect(scene.asked()).toEqual([expect.stringMatching(/^POST \/system\/build/), "PUT /system/functions"]);
  });

  test("takes no sources of this machine from a store elsewhere", async () => {
    const evil = { name: "evil", images: { x86_64: "evil:1" }, source: { lang: "node", handler: "/etc" } };
    await using scene = await openScene(accepted, { ...FILES, "evil.json": JSON.stringify({ functions: [evil] }) });
    await scene.run("store deploy evil -u evil.json");
    expect(scene.asked()).toEqual(["PUT /system/functions"]);
  });
});

test("our own store is one in OpenFaaS's format, with templates and handlers that are there", async () => {
  const functions = decodeFunctionStore(await readFile(join(ROOT, "functions/store.json"), "utf8"), "store");
  expect(functions.length).toBeGreaterThan(2);
  for (const { source, images, repo_url: repository } of functions) {
    expect([Object.keys(images), repository]).toEqual([["x86_64", "arm64"], expect.any(String)]);
    const template = join(ROOT, "templates", source?.lang as string, "template.yml");
    expect(parseTemplate(await readFile(template, "utf8"), template).language).toBe(source?.lang);
    expect(
      await import("node:fs").then(({ existsSync }) => existsSync(join(ROOT, "functions", source?.handler as string))),
    ).toBe(true);
  }
});
