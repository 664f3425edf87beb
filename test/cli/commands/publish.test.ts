import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { engineSteps } from "../../../cli/publish/engine-builder.ts";
import { makeWorkspace, runHere, type Workspace } from "../support/run-cli.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const FILES = {
  "stack.yml": `version: 1.0
provider: {name: openfaas}
functions:
  plain:
    lang: dockerfile
    handler: ./plain
    image: registry.test/plain:1
    build_args: {A: "1"}
`,
  "plain/Dockerfile": "FROM alpine\nRUN apk add curl\n",
};

/** Engines that write down what they are asked; those that are not named have no daemon, or are broken. */
async function withEngines({ path }: Workspace, works: Readonly<Record<string, string>>) {
  await mkdir(join(path, "bin"));
  for (const name of ["docker", "podman", "buildah"]) {
    const file = join(path, "bin", name);
    const body = works[name] ?? "exit 1";
    await writeFile(file, `#!/bin/sh\n[ "$1" = version ] || echo "${name} $@" >> "${path}/asked"\n${body}\n`);
    await chmod(file, 0o755);
  }
  return { PATH: `${path}/bin:/usr/bin:/bin` };
}

const asked = async ({ path }: Workspace) =>
  (await readFile(join(path, "asked"), "utf8").catch(() => "")).trim().replaceAll(path, "").split("\n");

const DOCKER = `[ "$1" != push ] || echo "1: digest: ${DIGEST} size: 7"`;
const BY_FILE = `while [ $# -gt 0 ]; do [ "$1" != --digestfile ] || echo ${DIGEST} > "$2"; shift; done`;

describe("a Dockerfile with steps of its own", () => {
  test("is built and pushed by docker where it works", async () => {
    await using workspace = await makeWorkspace(FILES);
    const env = await withEngines(workspace, { docker: DOCKER, podman: BY_FILE });
    const { code, stdout } = await runHere(["publish", "--quiet"], { cwd: workspace.path, env });
    expect(code).toBe(0);
    expect(stdout).toContain(`registry.test/plain:1@${DIGEST}\n`);
    expect(await asked(workspace)).toEqual([
      "docker build --build-arg A=1 --build-arg ADDITIONAL_PACKAGE= --tag registry.test/plain:1 /build/plain",
      "docker push registry.test/plain:1",
    ]);
  });

  test("is podman's where docker does not answer, and buildah's where it is named", async () => {
    await using workspace = await makeWorkspace(FILES);
    const env = await withEngines(workspace, { podman: BY_FILE, buildah: BY_FILE });
    for (const flags of [[], ["--builder", "buildah"]]) {
      const { code, stdout } = await runHere(["publish", "--quiet", ...flags], { cwd: workspace.path, env });
      expect([code, stdout]).toEqual([0, expect.stringContaining(`registry.test/plain:1@${DIGEST}`)]);
    }
    const programs = (await asked(workspace)).map((line) => line.split(" ").slice(0, 2).join(" "));
    expect(programs).toEqual(["podman build", "podman push", "buildah build", "buildah push"]);
  });

  test("without an engine, or without leave to use one, the message says what to add", async () => {
    await using workspace = await makeWorkspace(FILES);
    const env = await withEngines(workspace, { docker: DOCKER });
    const refused = await runHere(["publish", "--builder", "none"], { cwd: workspace.path, env });
    expect([refused.code, await asked(workspace)]).toEqual([1, [""]]);
    expect(refused.stderr + refused.stdout).toMatch(/plain.*faaslane\.json/s);
    const named = await runHere(["publish", "--builder", "podman"], { cwd: workspace.path, env });
    expect(named.stderr).toContain("--builder: podman is not here, or does not answer `podman version`");
    const unknown = await runHere(["publish", "--builder", "kaniko"], { cwd: workspace.path, env });
    expect(unknown.stderr).toContain("--builder must be one of auto, none, docker, podman, buildah");
  });

  test("a step that fails is the function's failure, with its last words", async () => {
    await using workspace = await makeWorkspace(FILES);
    const env = await withEngines(workspace, { docker: '[ "$1" != build ] || { echo no such package; exit 9; }' });
    const { code, stdout, stderr } = await runHere(["publish"], { cwd: workspace.path, env });
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/no such package/);
    expect(stdout + stderr).toMatch(/docker build ended with exit code 9/);
  });
});

test.each([
  ["docker", ["linux/arm64"], ["build --platform linux/arm64 --tag r.test/i:1 /f", "push r.test/i:1"]],
  [
    "docker",
    ["linux/amd64", "linux/arm64"],
    ["buildx build --platform linux/amd64,linux/arm64 --push --metadata-file /d --tag r.test/i:1 /f"],
  ],
  [
    "podman",
    ["linux/amd64", "linux/arm64"],
    [
      "build --platform linux/amd64,linux/arm64 --manifest r.test/i:1 /f",
      "manifest push --all --tls-verify=false --digestfile /d r.test/i:1 docker://r.test/i:1",
    ],
  ],
  [
    "buildah",
    [],
    ["build --tag r.test/i:1 /f", "push --tls-verify=false --digestfile /d r.test/i:1 docker://r.test/i:1"],
  ],
] as const)("%s builds for %j", (engine, platforms, commands) => {
  const settings = { platforms, insecure: ["r.test"], digestFile: "/d" };
  const steps = engineSteps(engine, "/f", { image: "r.test/i:1", buildArgs: {} }, settings);
  expect(steps.map(({ args }) => args.join(" "))).toEqual(commands);
});
