import { afterEach, describe, expect, test } from "@jest/globals";
import type { FunctionStatus } from "../../contract/functions.ts";
import type { KubernetesClient } from "../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { apiPath } from "../../provider/backends/kubernetes/client/paths.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";

/** A cluster with a gateway and a provider beside it. All that the suite makes is in its two namespaces. */
export interface ClusterUnderTest {
  readonly gatewayUrl: string;
  /** Has our watchdog, and the programs `cat` and `env`. */
  readonly image: string;
  /** The provider's default one. */
  readonly namespace: string;
  /** Does not exist yet; absent when the provider is not to look beyond `namespace`. */
  readonly otherNamespace?: string;
  readonly api: Pick<KubernetesClient, "get">;
}

/** Nodes take seconds to start a pod, and more to take one away or to give up on an image. */
const WITHIN_MS = 120_000;
const LOOK_MS = 50;
const TEST_MS = 400_000;
/** Cannot be: `.invalid` is never registered. */
const ABSENT_IMAGE = "registry.invalid/faaslane/absent:1";

/** Fields of a deployment besides those that all have. */
type Changes = { readonly envVars?: Readonly<Record<string, string>> } & Readonly<Record<string, unknown>>;

interface ListedPod {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

function isReadyPod({ status }: ListedPod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

/** What a deployment platform has to do, seen from a gateway: the same for every cluster. */
export function describeCluster(name: string, cluster: () => ClusterUnderTest): void {
  describe(name, () => {
    const deployed: { name: string; namespace?: string }[] = [];

    const send = async (method: string, path: string, body?: unknown): Promise<Reply> => {
      const init = body === undefined ? { method } : { method, ...jsonBody(body) };
      const response = await fetch(cluster().gatewayUrl + path, init);
      return { status: response.status, text: await response.text() };
    };
    const call = async (path: string, body?: string): Promise<Reply> => {
      const init = body === undefined ? {} : { method: "POST", body };
      const response = await fetch(`${cluster().gatewayUrl}/function/${path}`, init);
      return { status: response.status, text: await response.text() };
    };
    const definition = (service: string, envProcess: string, more: Changes = {}) => {
      const { envVars, ...rest } = more;
      return { service, image: cluster().image, envProcess, envVars: { mode: "streaming", ...envVars }, ...rest };
    };
    const deploy = async (spec: { service: string; namespace?: string }) => {
      deployed.push({ name: spec.service, ...(spec.namespace && { namespace: spec.namespace }) });
      expect(await send("POST", "/system/functions", spec)).toMatchObject({ status: 202 });
    };
    const update = async (spec: object) =>
      expect(await send("PUT", "/system/functions", spec)).toMatchObject({ status: 202 });
    const scale = async (service: string, replicas: number) =>
      expect(await send("POST", `/system/scale-function/${service}`, { replicas })).toMatchObject({ status: 202 });
    const remove = (service: string, namespace?: string) =>
      send("DELETE", "/system/functions", { functionName: service, ...(namespace && { namespace }) });
    const status = async (service: string): Promise<FunctionStatus | undefined> => {
      const { status: code, text } = await send("GET", `/system/function/${service}`);
      return code === 200 ? (JSON.parse(text) as FunctionStatus) : undefined;
    };
    const soon = <T>(what: string, check: () => Promise<T>) => eventually(what, check, WITHIN_MS, LOOK_MS);
    const available = (service: string, count: number) =>
      soon(`${service} has ${count} replicas`, async () => ((await status(service))?.availableReplicas ?? 0) === count);

    afterEach(async () => {
      for (const { name, namespace } of deployed.splice(0)) await remove(name, namespace);
    });

    test(
      "a function is deployed, called, scaled and deleted",
      async () => {
        const info = JSON.parse((await send("GET", "/system/info")).text);
        expect(info.provider).toMatchObject({ provider: "faaslane", orchestration: "kubernetes" });
        await deploy(definition("echo", "cat"));
        // The gateway holds the call until there is a replica.
        expect(await call("echo", "a body")).toEqual({ status: 200, text: "a body" });
        const large = "x".repeat(1024 ** 2);
        expect(await call("echo", large)).toEqual({ status: 200, text: large });
        expect(await send("POST", "/system/functions", definition("echo", "cat"))).toMatchObject({ status: 409 });

        await scale("echo", 3);
        await available("echo", 3);
        const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => call("echo", `${index}`)));
        expect(answers).toEqual(Array.from({ length: 30 }, (_, index) => ({ status: 200, text: `${index}` })));
        // What was set by hand stands, although so few calls need no three.
        expect(await status("echo")).toMatchObject({ replicas: 3 });
        await scale("echo", 1);
        await available("echo", 1);

        const list = JSON.parse((await send("GET", "/system/functions")).text) as FunctionStatus[];
        const { image, namespace } = cluster();
        expect(list).toEqual([
          expect.objectContaining({ name: "echo", image, namespace, envProcess: "cat", replicas: 1 }),
        ]);

        expect(await remove("echo")).toMatchObject({ status: 202 });
        expect(await status("echo")).toBeUndefined();
        expect(await call("echo")).toMatchObject({ status: 404 });
        expect(await remove("echo")).toMatchObject({ status: 404 });
        await soon("nothing is left of it", async () => {
          const { api } = cluster();
          const paths = [
            apiPath.deployments(namespace),
            apiPath.pods(namespace),
            `${apiPath.namespace(namespace)}/services`,
          ];
          const query = { labelSelector: "faas_function=echo" };
          const lists = await Promise.all(paths.map((path) => api.get<{ items: unknown[] }>(path, query)));
          return lists.every(({ items }) => items.length === 0);
        });
      },
      TEST_MS,
    );

    test(
      "an update replaces all replicas, and no call fails meanwhile",
      async () => {
        const release = (version: string) => definition("release", "env", { envVars: { release: version } });
        const others: Reply[] = [];
        const versionOf = (reply: Reply) => {
          const version = reply.status === 200 ? /^release=(first|second)$/m.exec(reply.text)?.[1] : undefined;
          if (version === undefined) others.push(reply);
          return version;
        };
        await deploy(release("first"));
        await scale("release", 2);
        await available("release", 2);
        await update(release("second"));
        await soon("only the second version answers", async () => {
          const answers = await Promise.all(Array.from({ length: 6 }, () => call("release")));
          const versions = answers.map(versionOf);
          return versions.every((version) => version === "second");
        });
        expect(others).toEqual([]);
        expect(await status("release")).toMatchObject({ replicas: 2, envVars: { release: "second" } });
        expect(await send("PUT", "/system/functions", definition("nobody", "cat"))).toMatchObject({ status: 404 });
      },
      TEST_MS,
    );

    test(
      "a function sleeps at zero, and the next calls wake it",
      async () => {
        await deploy(definition("sleeper", "cat"));
        await available("sleeper", 1);
        await scale("sleeper", 0);
        await available("sleeper", 0);
        const calls = await Promise.all(Array.from({ length: 5 }, (_, index) => call("sleeper", `${index}`)));
        expect(calls).toEqual(Array.from({ length: 5 }, (_, index) => ({ status: 200, text: `${index}` })));
        expect(await status("sleeper")).toMatchObject({ replicas: 1 });
      },
      TEST_MS,
    );

    test(
      "what a function says is in its log",
      async () => {
        await deploy(definition("talker", "cat /nowhere-to-be-found"));
        expect((await call("talker")).status).toBe(500);
        const line = await soon("its words are in the log", async () => {
          const { text } = await send("GET", "/system/logs?name=talker&follow=false");
          return text.split("\n").find((each) => each.includes("nowhere-to-be-found"));
        });
        const { namespace } = cluster();
        expect(JSON.parse(line)).toMatchObject({
          name: "talker",
          namespace,
          instance: expect.stringMatching(/^talker-/),
        });
        expect(await send("GET", "/system/logs?name=nobody&follow=false")).toMatchObject({ status: 404 });
      },
      TEST_MS,
    );

    test(
      "secrets are files in the function, and a deploy brings a new value",
      async () => {
        const secret = { name: "api-key", value: "the first" };
        expect(await send("POST", "/system/secrets", secret)).toMatchObject({ status: 202 });
        try {
          expect(await send("POST", "/system/secrets", secret)).toMatchObject({ status: 409 });
          const reader = definition("keeper", "cat /var/openfaas/secrets/api-key", { secrets: ["api-key"] });
          await deploy(reader);
          expect(await call("keeper")).toEqual({ status: 200, text: "the first" });
          const { namespace } = cluster();
          expect(JSON.parse((await send("GET", "/system/secrets")).text)).toEqual([{ name: "api-key", namespace }]);

          expect(await send("PUT", "/system/secrets", { ...secret, value: "the second" })).toMatchObject({
            status: 202,
          });
          await update(reader);
          await soon("the new value is there", async () => (await call("keeper")).text === "the second");
        } finally {
          expect(await send("DELETE", "/system/secrets?force=true", { name: "api-key" })).toMatchObject({
            status: 202,
          });
        }
        expect(JSON.parse((await send("GET", "/system/secrets")).text)).toEqual([]);
      },
      TEST_MS,
    );

    test(
      "functions in other namespaces",
      async () => {
        const { otherNamespace, namespace } = cluster();
        if (otherNamespace === undefined) {
          // biome-ignore lint/suspicious/noConsole: a test that proves nothing has to say so
          console.warn("not tested: other namespaces, as this cluster has function namespaces of somebody else");
          return;
        }
        const path = `/system/namespace/${otherNamespace}`;
        expect(await send("POST", path, { name: otherNamespace, labels: { team: "a" } })).toMatchObject({
          status: 201,
        });
        expect(JSON.parse((await send("GET", "/system/namespaces")).text)).toEqual(
          expect.arrayContaining([namespace, otherNamespace]),
        );
        expect(JSON.parse((await send("GET", path)).text)).toMatchObject({ labels: { team: "a" } });
        await deploy({ ...definition("echo", "cat"), namespace: otherNamespace });
        expect(await call(`echo.${otherNamespace}`, "hello")).toEqual({ status: 200, text: "hello" });
        expect(await call("echo", "hello")).toMatchObject({ status: 404 });
        expect(await send("DELETE", path, { name: otherNamespace })).toMatchObject({ status: 409 });
        expect(await remove("echo", otherNamespace)).toMatchObject({ status: 202 });
        await soon("it can be removed", async () => {
          const { status: code } = await send("DELETE", path, { name: otherNamespace });
          return code === 202;
        });
        expect(await send("GET", path)).toMatchObject({ status: 404 });
      },
      TEST_MS,
    );

    test(
      "versions serve beside each other, and calls move between warm ones without a pod that starts or a call that fails",
      async () => {
        const annotations = { "com.faaslane.rollout": "manual", "com.faaslane.rollback-window": "30m" };
        const release = (version: string) => definition("twice", "env", { annotations, envVars: { release: version } });
        const failed: Reply[] = [];
        const releaseOf = async (path: string) => {
          const reply = await call(path);
          const version = reply.status === 200 ? /^release=(first|second)$/m.exec(reply.text)?.[1] : undefined;
          if (version === undefined) failed.push(reply);
          return version;
        };
        const listed = async () => {
          const { api, namespace } = cluster();
          const lists = ["faas_function=twice", "com.faaslane.function=twice"].map((labelSelector) =>
            api.get<{ items: ListedPod[] }>(apiPath.pods(namespace), { labelSelector }),
          );
          return (await Promise.all(lists)).flatMap(({ items }) => items);
        };
        const pods = async () => (await listed()).map(({ metadata }) => metadata.name).sort();
        await deploy(release("first"));
        await available("twice", 1);
        await update(release("second"));
        expect(await releaseOf("twice")).toBe("first");
        // It sleeps until somebody calls it by its name.
        expect(await releaseOf("twice@v2")).toBe("second");
        expect(await releaseOf("twice")).toBe("first");
        const list = JSON.parse((await send("GET", "/system/functions")).text) as FunctionStatus[];
        expect(list.map(({ name }) => name)).toEqual(["twice"]);

        const bothReady = () =>
          soon("both are ready", async () => {
            const found = await listed();
            return found.length === 2 && found.every(isReadyPod);
          });
        await bothReady();
        const before = await pods();
        const path = "/system/function/twice";
        const targets = [{ version: "v2", share: 10_000 }];
        expect(await send("PUT", `${path}/traffic`, { targets })).toMatchObject({ status: 200 });
        await soon("calls go to the new one", async () => (await releaseOf("twice")) === "second");
        // On a busy node a probe of one that serves fails now and then, and a version without a ready pod is not warm.
        await bothReady();
        const back = await send("POST", `${path}/rollback`, { to: "v1" });
        expect(JSON.parse(back.text)).toMatchObject({ from: "v2", to: "v1", warm: true });
        await soon("calls go back", async () => (await releaseOf("twice")) === "first");
        expect(failed).toEqual([]);
        expect(await pods()).toEqual(before);

        expect(await remove("twice")).toMatchObject({ status: 202 });
        await soon("nothing is left of it", async () => (await pods()).length === 0);
      },
      TEST_MS,
    );

    test(
      "a version that never starts is given up for its reason, and the one before keeps all calls",
      async () => {
        const annotations = { "com.faaslane.rollout": "canary" };
        await deploy(definition("sound", "env", { annotations, envVars: { release: "first" } }));
        await available("sound", 1);
        await update(definition("sound", "env", { annotations, envVars: { release: "second", mode: "no-such-mode" } }));
        const aborted = await soon("the rollout is aborted", async () => {
          const reply = await call("sound");
          expect(reply).toMatchObject({ status: 200, text: expect.stringMatching(/^release=first$/m) });
          const { rollout } = JSON.parse((await send("GET", "/system/function/sound/rollout")).text);
          return rollout.phase === "aborted" && rollout;
        });
        expect(aborted.reason).toMatch(/^v2 cannot start: exited with code 2.*; last output: mode: must be one of/);
        const versions = JSON.parse((await send("GET", "/system/function/sound/versions")).text);
        expect(versions.history.at(-1)).toMatchObject({ traffic: "v1=100", reason: aborted.reason });
      },
      TEST_MS,
    );

    test.each<[service: string, more: Changes, problem: RegExp]>([
      ["image-absent", { image: ABSENT_IMAGE }, /image cannot be pulled/],
      ["crashing", { envVars: { mode: "no-such-mode" } }, /exited with code/],
      ["homeless", { constraints: ["kubernetes.io/hostname=no-such-node"] }, /no node can take it/],
    ])(
      "a function that cannot start says why: %s",
      async (service, more, problem) => {
        await deploy({ ...definition(service, "cat", more) });
        const found = await soon("the problem is told", async () => {
          const seen = (await status(service))?.problem;
          return seen !== undefined && problem.test(seen) && seen;
        });
        expect(found).toMatch(problem);
      },
      TEST_MS,
    );

    test("a deploy that cannot be is refused, with everything that is wrong about it", async () => {
      const wrong = definition("wrong", "cat", { limits: { memory: "lots" }, secrets: ["nothing"] });
      const refused = await send("POST", "/system/functions", wrong);
      expect(refused.status).toBe(400);
      expect(refused.text).toContain("limits.memory");
      expect(refused.text).toContain('secrets "nothing" not found');
      expect(await status("wrong")).toBeUndefined();
    });
  });
}
