import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";
import { type Answer, DEPLOYMENTS, deployment, KubeClient, PODS } from "./client.ts";

test("it runs in a process of its own, pods included, and ends when told to", async () => {
  const folder = await temporaryFolder();
  const images = join(folder.path, "images.json");
  const kubeconfig = join(folder.path, "kubeconfig");
  const handler = "export default (req, res) => res.end('served')";
  const image = {
    env: { mode: "inproc", inproc_handler: "./index.mjs", healthcheck_interval: "0s" },
    files: { "index.mjs": handler },
  };
  await writeFile(images, JSON.stringify({ "fn:1": image }));
  const main = join(ROOT, "test/support/kube/main.ts");
  const child = spawn(process.execPath, [main, "--kubeconfig", kubeconfig, "--images", images], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const url = await eventually("it says where it is", () => /http:\S+\n/.test(output) && output.trim());
  const config = JSON.parse(await readFile(kubeconfig, "utf8"));
  expect(config.clusters[0].cluster.server).toBe(url);
  const client = new KubeClient({ url });
  await client.create(DEPLOYMENTS, deployment("a"));
  const pod = await eventually("the pod is ready", async () => {
    const { items } = await client.get(PODS);
    return items.find((each: Answer) => each.status.containerStatuses?.[0]?.ready);
  });
  const answer = await eventually(
    "it answers",
    async () => await (await fetch(`http://${pod.status.podIP}:8080/`)).text(),
  );
  expect(answer).toBe("served");
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
  await expect(fetch(`http://${pod.status.podIP}:8080/`)).rejects.toThrow();
  await folder.remove();
});
