import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { Backend } from "../../../provider/backends/backend.ts";
import { loginIn } from "../../../provider/backends/kubernetes/resources/pull-logins.ts";
import type { DigestRule } from "../../../provider/backends/kubernetes/resources/settings.ts";
import { KubeClient, SECRETS } from "../../kube/client.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { ProviderAccount } from "./account.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const DIGEST = `sha256:${"d".repeat(64)}`;
const ACCOUNTS = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`;
const SETTINGS = { "com.faaslane.rollback-window": "1m" };

/** A registry that answers as `answer` does; `asked` is what of it was wanted. */
let answer: (url: string, login: string | undefined, res: ServerResponse) => void;
let asked: string[] = [];
let registry: Server;
let host: string;
let kube: KubeServer;
let client: KubeClient;
const opened: Backend[] = [];

const account = new ProviderAccount();
const found = (res: ServerResponse) => res.writeHead(200, { "docker-content-digest": DIGEST }).end();
const only = (user: string) => (_url: string, login: string | undefined, res: ServerResponse) =>
  login?.startsWith(`${user}:`) ? found(res) : res.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();

beforeEach(async () => {
  asked = [];
  answer = (_url, _login, res) => found(res);
  registry = createServer((req, res) => {
    const { authorization } = req.headers;
    const login = authorization && Buffer.from(authorization.slice("Basic ".length), "base64").toString();
    asked.push(`${req.method} ${req.url} ${login ?? "nobody"}`);
    answer(req.url ?? "", login, res);
  });
  await once(registry.listen(0, "127.0.0.1"), "listening");
  host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
  kube = await KubeServer.open({ account });
  client = new KubeClient(kube);
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((backend) => backend.close(0)));
  await kube.close();
  registry.closeAllConnections();
  registry.close();
  account.expectNothingRefused();
});

function digestOf(more: object = {}, imageDigests: DigestRule = "versions"): Promise<string | undefined> {
  const backend = openBackend(kube, { imageDigests });
  opened.push(backend);
  const deployment = { service: "fn", image: `${host}/a/fn:1`, namespace: NAMESPACE, annotations: SETTINGS, ...more };
  return backend.functions.digestOf?.(deployment) ?? Promise.resolve(undefined);
}

const pullSecret = async (name: string, user: string) => {
  const auths = { [host]: { username: user, password: "secret" } };
  const data = { ".dockerconfigjson": Buffer.from(JSON.stringify({ auths })).toString("base64") };
  await client.create(SECRETS, { metadata: { name }, type: "kubernetes.io/dockerconfigjson", data });
};

test("the registry tells the digest, of a head alone", async () => {
  expect(await digestOf()).toBe(DIGEST);
  expect(asked).toEqual(["HEAD /v2/a/fn/manifests/1 nobody"]);
  expect(await digestOf({ image: `${host}/a/fn` })).toBe(DIGEST);
  expect(asked.at(-1)).toBe("HEAD /v2/a/fn/manifests/latest nobody");
});

test("a registry that does not say is asked for the manifest itself", async () => {
  answer = (_url, _login, res) => res.writeHead(200).end("{}");
  expect(await digestOf()).toBe("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  expect(asked).toEqual(["HEAD /v2/a/fn/manifests/1 nobody", "GET /v2/a/fn/manifests/1 nobody"]);
});

test.each<[rule: string, more: object, setting: DigestRule, isAsked: boolean]>([
  ["a function without settings for versions is not asked for", { annotations: { topic: "a" } }, "versions", false],
  ["with the provider's setting it is", { annotations: {} }, "always", true],
  ["with that setting none is", {}, "never", false],
  ["one with traffic is", { annotations: { "com.faaslane.traffic": "latest=100" } }, "versions", true],
  ["one with a rollout is", { annotations: { "com.faaslane.rollout": "canary" } }, "versions", true],
])("%s", async (_rule, more, setting, isAsked) => {
  expect(await digestOf(more, setting)).toBe(isAsked ? DIGEST : undefined);
  expect(asked.length > 0).toBe(isAsked);
});

test("a digest that the image has is taken, and nobody asked", async () => {
  expect(await digestOf({ image: `${host}/a/fn:1@${DIGEST}`, annotations: {} })).toBe(DIGEST);
  expect(await digestOf({ image: "not an image" })).toBeUndefined();
  expect(asked).toEqual([]);
});

test("the function's secrets for pulling are used, one after the other", async () => {
  await pullSecret("wrong", "wrong");
  await pullSecret("right", "right");
  await client.create(SECRETS, { metadata: { name: "key" }, stringData: { a: "b" } });
  answer = only("right");
  expect(await digestOf({ secrets: ["key", "wrong", "right", "missing", "../x"] })).toBe(DIGEST);
  expect(asked.at(-1)).toBe("HEAD /v2/a/fn/manifests/1 right:secret");
});

test("those of its service account are, and of the namespace's default one", async () => {
  await pullSecret("pull", "right");
  answer = only("right");
  expect(await digestOf()).toBeUndefined();
  const imagePullSecrets = [{ name: "pull" }];
  await client.create(ACCOUNTS, { metadata: { name: "mine" }, imagePullSecrets });
  expect(await digestOf({ annotations: { ...SETTINGS, "com.openfaas.serviceaccount": "mine" } })).toBe(DIGEST);
  await client.send("DELETE", `${ACCOUNTS}/default`);
  await client.create(ACCOUNTS, { metadata: { name: "default" }, imagePullSecrets });
  expect(await digestOf()).toBe(DIGEST);
});

test("a secret of the older form, or one that is broken, is read as far as it goes", () => {
  const encode = (value: string) => Buffer.from(value).toString("base64");
  const auth = encode("me:secret");
  const old = { type: "kubernetes.io/dockercfg", data: { ".dockercfg": encode(JSON.stringify({ [host]: { auth } })) } };
  expect(loginIn(old, host)).toEqual({ username: "me", password: "secret" });
  expect(loginIn(old, "elsewhere")).toBeUndefined();
  const type = "kubernetes.io/dockerconfigjson";
  for (const text of ["", "{", "[]", '{"auths":1}', '{"auths":{"x":{"auth":"="}}}'])
    expect(loginIn({ type, data: { ".dockerconfigjson": encode(text) } }, "x")).toBeUndefined();
  expect(loginIn({ type }, "x")).toBeUndefined();
  expect(loginIn({ type: "Opaque", data: { ".dockerconfigjson": encode("{}") } }, "x")).toBeUndefined();
});

test.each<[what: string, answer: typeof answer]>([
  ["says that there is no such image", (_url, _login, res) => res.writeHead(404).end()],
  ["says nothing sensible", (_url, _login, res) => res.writeHead(200, { "docker-content-digest": "md5:1" }).end()],
  ["is limited", (_url, _login, res) => res.writeHead(429).end()],
  ["never answers", () => {}],
  ["breaks off", (_url, _login, res) => res.destroy()],
])("where the registry %s, it is not known", async (_what, given) => {
  answer = given;
  expect(await digestOf()).toBeUndefined();
});
