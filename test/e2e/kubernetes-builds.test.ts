import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parseImageReference } from "../../oci/image-reference.ts";
import { parseConfig, parseManifest } from "../../oci/manifests.ts";
import { writeKubeconfig } from "../provider/kubernetes/support.ts";
import { eventually } from "../support/eventually.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import { pushBase } from "../support/oci-images.ts";
import { type OwnRegistry, startRegistry } from "../support/own-registry.ts";
import { runCli, temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

/** On a cluster without a container engine: what `up` builds lies in our registry, and pods run from there. */
const { signal } = new AbortController();
/** What nodes call the registry; the provider reaches it elsewhere. */
const NAME = "registry.test:5000/team";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let own: OwnRegistry;
let runtime: ProcessRuntime;
let kube: KubeServer;
let provider: ServerProcess;
let gateway: ServerProcess;
let project = "";

beforeAll(async () => {
  folder = await temporaryFolder();
  own = await startRegistry();
  const base = join(folder.path, "base");
  await mkdir(join(base, "etc"), { recursive: true });
  await writeFile(join(base, "etc/os-release"), "ID=test\n");
  await pushBase(own.client, "node", "24", { layers: [{ folder: base, at: "/" }], env: ["PATH=/usr/bin"] });
  runtime = await ProcessRuntime.open();
  kube = await KubeServer.open({ runtime });
  const KUBECONFIG = await writeKubeconfig(kube, folder.path);
  await writeFile(
    join(folder.path, "config.json"),
    JSON.stringify({ auths: { "registry.test:5000": { auth: btoa("admin:let me in") } } }),
  );
  provider = await startServerProcess("provider/main.ts", {
    backend: "kubernetes",
    cluster_role: "true",
    KUBECONFIG,
    PATH: process.env.PATH as string,
    data_dir: join(folder.path, "data"),
    registry: NAME,
    registry_url: `http://${own.address}`,
    registry_config: join(folder.path, "config.json"),
  });
  gateway = await startServerProcess("gateway/process/main.ts", {
    functions_provider_url: provider.url,
    queue: "none",
  });
  project = join(folder.path, "project");
  await mkdir(project);
}, 60_000);

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
  await kube?.close();
  await own?.remove();
  await folder?.remove();
});

const faaslane = (...args: string[]) => runCli(args, { cwd: project, env: { HOME: folder.path } });
const up = () =>
  faaslane("up", "-g", gateway.url, "--build-arg", "NODE_IMAGE=registry.test:5000/node:24", "--tls-no-verify");

/** What nodes do: pulls an image by its digest, and lays its layers on top of each other. */
async function pull(image: string): Promise<void> {
  const { repository, digest = "" } = parseImageReference(image);
  const { bytes } = await own.client.fetchManifest(repository, digest, signal);
  const manifest = parseManifest(bytes, image);
  const { config } = parseConfig(await own.client.fetchBlob(repository, manifest.config.digest, 1e6, signal), image);
  const rootfs = join(folder.path, `rootfs-${digest.slice(-8)}`);
  await mkdir(rootfs);
  for (const layer of manifest.layers) {
    const tar = spawn("tar", ["-xz", "-C", rootfs], { stdio: ["pipe", "ignore", "inherit"] });
    const ended = once(tar, "exit");
    (await own.client.openBlob(repository, layer.digest, signal)).pipe(tar.stdin);
    expect(await ended).toEqual([0, null]);
  }
  const env = Object.fromEntries(
    (config?.Env ?? []).map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
  const { WorkingDir = "/", Cmd = [] } = config as { WorkingDir?: string; Cmd?: string[] };
  const command = [process.execPath, ...Cmd.slice(1).map((part) => (part.startsWith("/") ? join(rootfs, part) : part))];
  const PATH = process.env.PATH as string;
  await runtime.addImage(image, { cwd: join(rootfs, WorkingDir), env: { ...env, PATH }, command });
}

interface DeploymentObject {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
}
const imageNow = () =>
  (kube.object("deployments.apps", "openfaas-fn", "hello") as unknown as DeploymentObject).spec.template.spec
    .containers[0]?.image as string;

async function answerOf(body: string): Promise<string> {
  const answer = await fetch(`${gateway.url}/function/hello`, { method: "POST", body });
  return answer.status === 200 ? await answer.text() : `${answer.status}`;
}

test("up builds an image, pushes it and deploys it by its digest; the function answers, and a change reaches it", async () => {
  await faaslane("new", "hello", "--lang", "node");
  const handler = (word: string) =>
    writeFile(
      join(project, "hello/handler.js"),
      `module.exports = async (event, context) => context.succeed("${word} " + event.body);\n`,
    );
  await handler("first");
  const first = await up();
  expect([first.code, first.stderr]).toEqual([0, ""]);
  const image = imageNow();
  expect(image).toMatch(/^registry\.test:5000\/team\/hello:latest@sha256:[0-9a-f]{64}$/);
  await pull(image);
  await eventually("it answers", async () => (await answerOf("call")) === "first call", 30_000, 100);

  await handler("second");
  expect((await up()).code).toBe(0);
  expect(imageNow()).not.toBe(image);
  await pull(imageNow());
  await eventually("the change answers", async () => (await answerOf("call")) === "second call", 30_000, 100);
}, 120_000);

test("what the builder can do is told, and what it cannot", async () => {
  const info = (await (await fetch(`${provider.url}/system/info`)).json()) as { features: string[] };
  expect(info.features).toContain("build");
  await mkdir(join(project, "plain"));
  await writeFile(join(project, "plain/Dockerfile"), "FROM alpine\nRUN apk add curl\n");
  const stack =
    "version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  plain:\n    lang: dockerfile\n    handler: ./plain\n    image: plain:1\n";
  await writeFile(join(project, "plain.yml"), stack);
  const failed = await faaslane("up", "-f", "plain.yml", "-g", gateway.url);
  expect(failed.code).toBe(1);
  expect(failed.stderr + failed.stdout).toMatch(/plain.*has no faaslane\.json.*docker, podman or buildah/s);
}, 60_000);
