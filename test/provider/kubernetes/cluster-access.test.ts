import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { openClusterAccess, openServiceAccount } from "../../../provider/backends/kubernetes/client/cluster-access.ts";
import { openPlainKubeconfig } from "../../../provider/backends/kubernetes/client/plain-kubeconfig.ts";
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

test("the cluster's certificate is renewed too, and what is missing or empty for a moment stays as it was", async () => {
  await writeFile(join(folder.path, "ca.crt"), "old");
  await writeFile(join(folder.path, "token"), "t");
  let now = 0;
  const access = await openServiceAccount({ host: "10.0.0.1", port: 443 }, folder.path, () => now);
  const later = async () => {
    now += 60_000;
    return await access.credentials();
  };
  await writeFile(join(folder.path, "ca.crt"), "new");
  expect(await later()).toMatchObject({ ca: "new" });
  await writeFile(join(folder.path, "ca.crt"), "");
  await rm(join(folder.path, "token"));
  expect(await later()).toEqual({ ca: "new", headers: { authorization: "Bearer t" } });
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

describe("a kubeconfig without plugins", () => {
  const open = async (cluster: object, user: object) => {
    const kubeconfig = join(folder.path, "config");
    const config = {
      clusters: [{ name: "c", cluster: { server: "https://cluster.example:6443/k8s", ...cluster } }],
      users: [{ name: "u", user }],
      contexts: [
        { name: "other", context: { cluster: "nowhere", user: "nobody" } },
        { name: "x", context: { cluster: "c", user: "u" } },
      ],
      "current-context": "x",
    };
    await writeFile(kubeconfig, JSON.stringify(config));
    return await openPlainKubeconfig(kubeconfig);
  };
  const base64 = (text: string) => Buffer.from(text).toString("base64");

  test("gives certificates from itself, or from files next to it", async () => {
    await writeFile(join(folder.path, "key.pem"), "the key");
    const access = await open(
      { "certificate-authority-data": base64("the ca"), "tls-server-name": "kubernetes" },
      { "client-certificate-data": base64("the certificate"), "client-key": "key.pem" },
    );
    expect(access?.server.href).toBe("https://cluster.example:6443/k8s");
    expect(await access?.credentials()).toEqual({
      ca: Buffer.from("the ca"),
      cert: Buffer.from("the certificate"),
      key: "the key",
      servername: "kubernetes",
    });
  });

  test("gives the token of a file, which is named when it is missing", async () => {
    const access = await open({ "insecure-skip-tls-verify": true }, { tokenFile: "token" });
    await expect(access?.credentials()).rejects.toMatchObject({ message: "tokenFile cannot be read" });
    await writeFile(join(folder.path, "token"), "t\n");
    expect(await access?.credentials()).toEqual({
      rejectUnauthorized: false,
      headers: { Authorization: "Bearer t" },
    });
  });

  test.each([
    ["with a credential plugin", {}, { exec: { command: "aws" } }],
    ["with a proxy", { "proxy-url": "http://proxy.example" }, { token: "t" }],
    ["with another user's name", {}, { token: "t", as: "somebody" }],
    ["with a server that is no address", { server: "" }, { token: "t" }],
  ])("is left to the library %s", async (_what, cluster, user) => {
    expect(await open(cluster, user)).toBeUndefined();
  });

  test("never quotes itself in errors", async () => {
    const kubeconfig = join(folder.path, "broken");
    await writeFile(kubeconfig, "users:\n- {user: {token: s3cret}\n");
    const error = await openPlainKubeconfig(kubeconfig).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "invalid", message: expect.stringContaining(kubeconfig) });
    expect(String(error)).not.toContain("s3cret");
  });
});
