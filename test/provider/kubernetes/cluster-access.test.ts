import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { openClusterAccess, openServiceAccount } from "../../../provider/backends/kubernetes/cluster-access.ts";
import { temporaryFolder } from "../../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

test("in a pod its service account is used, with the token as it is renewed", async () => {
  await writeFile(join(folder.path, "ca.crt"), "the certificate");
  await writeFile(join(folder.path, "token"), "old\n");
  let now = 0;
  const access = await openServiceAccount({ host: "fd00::1", port: 443 }, folder.path, () => now);
  expect(access.server.href).toBe("https://[fd00::1]/");
  await writeFile(join(folder.path, "token"), "new\n");
  expect(await access.credentials()).toEqual({ ca: "the certificate", headers: { authorization: "Bearer old" } });
  now = 60_000;
  expect(await access.credentials()).toMatchObject({ headers: { authorization: "Bearer new" } });
});

test("what is missing is named", async () => {
  await expect(openServiceAccount({ host: "10.0.0.1", port: 443 }, folder.path)).rejects.toMatchObject({
    kind: "invalid",
    message: "the service account's ca.crt cannot be read",
  });
  const kubeconfig = join(folder.path, "nothing");
  await expect(openClusterAccess({ kubeconfig })).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringContaining(kubeconfig),
  });
});

test("a kubeconfig wins over the pod's service account", async () => {
  const kubeconfig = join(folder.path, "config");
  const config = {
    clusters: [{ name: "c", cluster: { server: "https://cluster.example:6443" } }],
    users: [{ name: "u", user: { token: "t" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  const access = await openClusterAccess({ kubeconfig, inCluster: { host: "10.0.0.1", port: 443 } });
  expect(access.server.href).toBe("https://cluster.example:6443/");
  expect((await access.credentials()).headers).toMatchObject({ Authorization: "Bearer t" });
});
