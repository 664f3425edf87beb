import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, expect } from "@jest/globals";
import { writeKubeconfig } from "../provider/kubernetes/support.ts";
import { describeWithBubblewrap } from "../support/bubblewrap.ts";
import { describeWithRegistry } from "../support/docker-registry.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { ProcessRuntime } from "../support/kube/kubelet/process-runtime.ts";
import { KubeServer } from "../support/kube/server.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { PublishedImages } from "../support/published-images.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { missingPrograms } from "../templates/support/programs.ts";

/** Images that `publish` has made, as the pods of a cluster: each with its own files only, and as the user of functions there. */
const hasGo = spawnSync("go", ["version"]).status === 0;
const ROWS: readonly [template: string, base: string, missing: string | undefined, answer: string][] = [
  ["node", "-", undefined, '"received":"hello"'],
  ["python3", "-", undefined, "hello"],
  ["bash", "bash", undefined, "POST / with:\nhello"],
  ["golang-middleware", "libraries", hasGo ? undefined : "this machine has no go", "POST / with: hello"],
];

describeWithRegistry("published images", () => {
  describeWithBubblewrap("in a cluster", () => {
    let images: PublishedImages;
    let runtime: ProcessRuntime;
    let kube: KubeServer;
    let provider: ServerProcess;
    let gateway: ServerProcess;

    beforeAll(async () => {
      images = await PublishedImages.open(["node", "libraries", "bash", "python"]);
      runtime = await ProcessRuntime.open();
      kube = await KubeServer.open({ runtime });
      const KUBECONFIG = await writeKubeconfig(kube, images.path);
      const env = { backend: "kubernetes", cluster_role: "true", KUBECONFIG, data_dir: images.path };
      provider = await startServerProcess("provider/main.ts", env);
      gateway = await startServerProcess("gateway/process/main.ts", {
        functions_provider_url: provider.url,
        queue: "none",
        data_dir: images.path,
      });
    }, 180_000);
    afterAll(async () => {
      await gateway?.stop();
      await provider?.stop();
      await kube?.close();
      await images?.remove();
    });

    /** What nodes do: an image becomes files, and a container has these and what is mounted. */
    async function pull(name: string): Promise<void> {
      const { rootfs, config } = await images.unpack(name);
      const entries = config.Env.map((entry) => entry.split(/=(.*)/s, 2) as [string, string]);
      const files = ["--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "--bind", "/tmp", "/tmp"];
      const user = ["--unshare-user", "--uid", config.User, "--die-with-parent"];
      const command = ["/usr/bin/bwrap", ...files, ...user, "--chdir", config.WorkingDir, ...config.Cmd];
      await runtime.addImage(images.nameOf(name), { cwd: rootfs, env: Object.fromEntries(entries), command });
    }

    for (const [template, base, missing, expected] of ROWS) {
      testNeeding(unlessRequired(missing ?? missingPrograms("skopeo", "ldd")))(
        `${template} is deployed and answers`,
        async () => {
          const name = `a-${template}`;
          expect((await images.publish(name, template, base)).stderr).toBe("");
          await pull(name);
          const deployment = { service: name, image: images.nameOf(name) };
          const init = { method: "POST", ...jsonBody(deployment) };
          expect((await fetch(`${gateway.url}/system/functions`, init)).status).toBe(202);
          const call = async () => {
            const headers = { "content-type": "text/plain" };
            const answer = await fetch(`${gateway.url}/function/${name}`, { method: "POST", body: "hello", headers });
            return answer.status === 200 ? await answer.text() : undefined;
          };
          expect(await eventually("it answers", call, 60_000, 100)).toContain(expected);
        },
        300_000,
      );
    }
  });
});
