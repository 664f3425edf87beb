import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parseImageReference } from "../../oci/image-reference.ts";
import { parseConfig, parseManifest } from "../../oci/manifests.ts";
import { writeKubeconfig } from "../provider/kubernetes/support.ts";
import { BUSYBOX, missingBuildah } from "../support/buildah.ts";
import { eventually } from "../support/eventually.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import { describeNeeding } from "../support/needing.ts";
import { type OwnRegistry, startRegistry } from "../support/own-registry.ts";
import { runCli, temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

/** Dockerfiles with steps of their own, on a cluster: buildah runs them in a pod. */
const { signal } = new AbortController();
/** What nodes call the registry; pods reach it elsewhere. */
const REGISTRY = "registry.test:5000";
const BUILDER = "quay.io/buildah/stable:latest";
const NAMESPACE = "openfaas-fn";

describeNeeding(missingBuildah())("Dockerfiles with steps", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let own: OwnRegistry;
  let kube: KubeServer;
  let provider: ServerProcess;
  let project = "";

  beforeAll(async () => {
    folder = await temporaryFolder();
    own = await startRegistry();
    const runtime = await ProcessRuntime.open({ [BUILDER]: {} });
    kube = await KubeServer.open({ runtime });
    const KUBECONFIG = await writeKubeconfig(kube, folder.path);
    const auths = Object.fromEntries([REGISTRY, own.address].map((host) => [host, { auth: btoa("admin:let me in") }]));
    await writeFile(join(folder.path, "config.json"), JSON.stringify({ auths }));
    provider = await startServerProcess("provider/main.ts", {
      backend: "kubernetes",
      cluster_role: "true",
      KUBECONFIG,
      PATH: process.env.PATH as string,
      data_dir: join(folder.path, "data"),
      registry: `${REGISTRY}/team`,
      registry_url: `http://${own.address}`,
      registry_config: join(folder.path, "config.json"),
      build_pod_image: BUILDER,
      build_pod_namespace: NAMESPACE,
    });
    project = join(folder.path, "project");
    await mkdir(project);
  }, 60_000);

  afterAll(async () => {
    await provider?.stop();
    await kube?.close();
    await own?.remove();
    await folder?.remove();
  });

  /** Builds and deploys a function of that Dockerfile. */
  async function up(name: string, dockerfile: string, ...more: string[]) {
    await mkdir(join(project, name));
    await copyFile(BUSYBOX, join(project, name, "busybox"));
    await writeFile(join(project, name, "Dockerfile"), dockerfile);
    const stack = `version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  ${name}:\n    lang: dockerfile\n    handler: ./${name}\n    image: ${name}:1\n`;
    await writeFile(join(project, `${name}.yml`), stack);
    const done = await runCli(["up", "-f", `${name}.yml`, "-g", provider.url, ...more], {
      cwd: project,
      env: { HOME: folder.path },
    });
    return { ...done, text: done.stderr + done.stdout };
  }

  const left = () => ["pods", "secrets"].flatMap((kind) => kube.api.store.list(kind, NAMESPACE));
  const builds = () => left().filter(({ metadata }) => metadata.labels?.["com.faaslane.build"] !== undefined);
  const isTidy = () => eventually("nothing is left of the build", () => builds().length === 0, 30_000);

  test("are run in a pod, whose image is pushed and deployed by its digest", async () => {
    const steps = 'ARG WORD\nRUN echo "made of $WORD" > /made && echo a step says so\nCMD ["/bin/sh"]\n';
    const done = await up("stepped", `FROM scratch\nCOPY busybox /bin/sh\n${steps}`, "--build-arg", "WORD=steps");
    expect([done.code, done.text]).toEqual([0, expect.stringContaining("a step says so")]);
    const deployment = kube.object("deployments.apps", NAMESPACE, "stepped") as unknown as {
      spec: { template: { spec: { containers: { image: string }[] } } };
    };
    const image = deployment.spec.template.spec.containers[0]?.image as string;
    expect(image).toMatch(/^registry\.test:5000\/team\/stepped:1@sha256:[0-9a-f]{64}$/);
    expect(await fileOf(image, "made")).toBe("made of steps\n");
    await isTidy();
  }, 120_000);

  test("that fail say with what, and leave nothing", async () => {
    const done = await up("broken", "FROM scratch\nCOPY busybox /bin/sh\nRUN echo no such luck && exit 3\n");
    expect(done.code).toBe(1);
    expect(done.text).toMatch(/no such luck/);
    expect(done.text).toMatch(/the steps have failed: exited with code/);
    await isTidy();
    expect(() => kube.object("deployments.apps", NAMESPACE, "broken")).toThrow("not found");
  }, 120_000);

  test("do not outlive their caller, and no login is told", async () => {
    const building = up("endless", "FROM scratch\nCOPY busybox /bin/sh\nRUN while true; do :; done\n");
    await eventually("its pod runs", () => builds().length === 2, 60_000);
    await provider.stop();
    const { code, text } = await building;
    expect(code).toBe(1);
    expect(text).not.toContain("let me in");
    await isTidy();
  }, 120_000);

  /** A file of an image's last layers that have one. */
  async function fileOf(image: string, path: string): Promise<string> {
    const { repository, digest = "" } = parseImageReference(image);
    const manifest = parseManifest((await own.client.fetchManifest(repository, digest, signal)).bytes, image);
    expect(
      parseConfig(await own.client.fetchBlob(repository, manifest.config.digest, 1e6, signal), image),
    ).toBeDefined();
    const rootfs = join(folder.path, "rootfs");
    await mkdir(rootfs);
    for (const layer of manifest.layers) {
      const tar = spawn("tar", ["-xz", "-C", rootfs], { stdio: ["pipe", "ignore", "inherit"] });
      const ended = once(tar, "exit");
      (await own.client.openBlob(repository, layer.digest, signal)).pipe(tar.stdin);
      expect(await ended).toEqual([0, null]);
    }
    return await readFile(join(rootfs, path), "utf8");
  }
});
