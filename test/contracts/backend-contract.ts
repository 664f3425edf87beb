import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { EndpointsEvent, FunctionEndpoints } from "../../contract/endpoints.ts";
import type { ErrorKind } from "../../contract/errors.ts";
import type { LogMessage, LogQuery } from "../../contract/logs.ts";
import type { Backend, ResolvedDeployment } from "../../provider/backends/backend.ts";

/** A backend to test, and what functions it can run. */
export interface BackendUnderTest {
  readonly backend: Backend;
  readonly defaultNamespace: string;
  /**
   * Images whose functions answer every call with `v1` or `v2`, after as many milliseconds as its path says (`/1000`),
   * and print the call's path and query as a line.
   */
  readonly images: { readonly v1: string; readonly v2: string };
  /** An image whose function never comes up. */
  readonly brokenImage: string;
  /** Set where nobody measures usage: then it is left out. */
  readonly unmeasured?: boolean;
  /** Opens the backend anew on the same state. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

const SETTLE_MS = 15_000;

/** What every backend has to do; `open` gives a fresh one for each test. */
export function describeBackend(kind: string, open: () => Promise<BackendUnderTest>): void {
  describe(`${kind} backend`, () => {
    let subject: BackendUnderTest;
    let leave = new AbortController();
    beforeEach(async () => {
      subject = await open();
      leave = new AbortController();
    });
    afterEach(async () => {
      leave.abort();
      await subject.close();
    });

    const backend = () => subject.backend;
    const ref = (name: string) => ({ name, namespace: subject.defaultNamespace });
    const deployment = (service: string, more: Partial<ResolvedDeployment> = {}): ResolvedDeployment => ({
      service,
      image: subject.images.v1,
      namespace: subject.defaultNamespace,
      ...more,
    });
    const get = (name: string) => backend().functions.get(ref(name));
    const ready = (name: string, count = 1) =>
      eventually(`${name} has ${count} ready replicas`, async () => {
        const status = await get(name);
        return (status?.availableReplicas ?? 0) === count ? status : undefined;
      });
    const endpoints = async (name: string): Promise<FunctionEndpoints | undefined> => {
      for await (const event of backend().watch(leave.signal)) {
        if (event.type === "heartbeat") break;
        if (event.function.name === name) return event.function;
      }
      return undefined;
    };
    const call = async (name: string, path = "/") => {
      const address = (await endpoints(name))?.endpoints.find(({ state }) => state === "ready")?.address;
      if (!address) throw new Error(`no replica of ${name} serves`);
      return await fetchText(address, path);
    };
    const fails = async (kind: ErrorKind, message: RegExp, work: Promise<unknown>) => {
      await expect(work).rejects.toMatchObject({ name: "FaasError", kind, message: expect.stringMatching(message) });
    };
    const logs = async (query: Partial<LogQuery>): Promise<LogMessage[]> => {
      const lines: LogMessage[] = [];
      const full = { name: "fn", namespace: subject.defaultNamespace, follow: false, ...query };
      for await (const line of backend().logs(full, leave.signal)) lines.push(line);
      return lines;
    };

    describe("functions", () => {
      test("a created function is listed, found and serves", async () => {
        await backend().functions.create(
          deployment("fn", {
            envVars: { a: "1.10" },
            labels: { team: "x", "com.openfaas.scale.max": "3" },
            annotations: { topic: "orders" },
            constraints: ["kubernetes.io/os=linux"],
            limits: { memory: "128Mi", cpu: "100m" },
            requests: { memory: "64Mi" },
            readOnlyRootFilesystem: true,
          }),
        );
        const status = await ready("fn");
        expect(status).toMatchObject({
          name: "fn",
          namespace: subject.defaultNamespace,
          image: subject.images.v1,
          envVars: { a: "1.10" },
          constraints: ["kubernetes.io/os=linux"],
          limits: { memory: "128Mi", cpu: "100m" },
          requests: { memory: "64Mi" },
          readOnlyRootFilesystem: true,
          replicas: 1,
          availableReplicas: 1,
          createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        });
        expect(status.labels).toEqual({ team: "x", "com.openfaas.scale.max": "3", faas_function: "fn" });
        expect(status.annotations).toEqual({ topic: "orders", "prometheus.io.scrape": "false" });
        expect(await backend().functions.list(subject.defaultNamespace)).toEqual([status]);
        expect(await call("fn")).toBe("v1");
      });

      test("what was not set is not in the status", async () => {
        await backend().functions.create(deployment("fn", { envVars: {}, labels: {}, secrets: [], constraints: [] }));
        const status = await ready("fn");
        expect(
          Object.keys(status)
            .filter((key) => key !== "sandbox" && key !== "imageBytes")
            .sort(),
        ).toEqual(
          ["annotations", "availableReplicas", "createdAt", "image", "labels", "name", "namespace", "replicas"].sort(),
        );
      });

      test("limits of time are in the snapshot that gateways get, and those that contradict are warned of", async () => {
        const limits = { exec_timeout: "10m", write_timeout: "10m", read_timeout: "30s" };
        await backend().functions.create(deployment("fn", { envVars: limits }));
        await ready("fn");
        expect((await endpoints("fn"))?.timeouts).toEqual({ execMs: 600_000, writeMs: 600_000, readMs: 30_000 });
        expect(await backend().functions.warningsFor?.(deployment("fn", { envVars: limits }))).toEqual([]);

        const annotations = { "com.faaslane.timeout": "1m" };
        const contradicting = deployment("fn", { envVars: { ...limits, write_timeout: "5m" }, annotations });
        await backend().functions.update(contradicting);
        expect(await backend().functions.warningsFor?.(contradicting)).toEqual([
          "exec_timeout: 10m does not hold, write_timeout ends the answer after 5m",
          "write_timeout: 5m does not hold, com.faaslane.timeout lets gateways give up after 1m",
        ]);
        await fails(
          "invalid",
          /annotations\.com\.faaslane\.timeout: "soon" must be a duration/,
          backend().functions.update(deployment("fn", { annotations: { "com.faaslane.timeout": "soon" } })),
        );
        await fails(
          "invalid",
          /annotations\.com\.faaslane\.auth: "baisc" must be one of none, basic/,
          backend().functions.update(deployment("fn", { annotations: { "com.faaslane.auth": "baisc" } })),
        );
        await fails(
          "invalid",
          /annotations\.com\.faaslane\.traffic: percentages add up to 90, not to 100/,
          backend().functions.update(deployment("fn", { annotations: { "com.faaslane.traffic": "latest=90" } })),
        );
      });

      test("an unknown function is undefined, not an error", async () => {
        expect(await get("nobody")).toBeUndefined();
        expect(await backend().functions.list(subject.defaultNamespace)).toEqual([]);
      });

      test("creating it again is a conflict", async () => {
        await backend().functions.create(deployment("fn"));
        await fails("conflict", /fn/, backend().functions.create(deployment("fn")));
      });

      test("what does not exist cannot be updated, scaled or removed", async () => {
        await fails("notFound", /nobody/, backend().functions.update(deployment("nobody")));
        await fails("notFound", /nobody/, backend().functions.scale(ref("nobody"), 1));
        await fails("notFound", /nobody/, backend().functions.remove(ref("nobody")));
      });

      test.each<[string, Partial<ResolvedDeployment>, RegExp]>([
        ["an unknown namespace", { namespace: "nowhere" }, /^namespace not found: nowhere$/],
        [
          "a secret that does not exist",
          { secrets: ["api-key"] },
          /unable to fetch secrets: secrets "api-key" not found/,
        ],
        ["a memory limit that is no quantity", { limits: { memory: "lots" } }, /limits\.memory/],
        [
          "a scale label that is no number",
          { labels: { "com.openfaas.scale.min": "few" } },
          /com\.openfaas\.scale\.min/,
        ],
        [
          "a minimum over the maximum",
          { labels: { "com.openfaas.scale.min": "5", "com.openfaas.scale.max": "3" } },
          /com\.openfaas\.scale\.min/,
        ],
      ])("%s is refused on create and on update", async (_case, wrong, message) => {
        await fails("invalid", message, backend().functions.create(deployment("fn", wrong)));
        expect(await get("fn")).toBeUndefined();
        if (wrong.namespace) return;
        await backend().functions.create(deployment("fn"));
        await fails("invalid", message, backend().functions.update(deployment("fn", wrong)));
        expect(await get("fn")).not.toHaveProperty("limits");
      });

      test("all that is wrong is said in one message, whether or not the function exists", async () => {
        const wrong = deployment("Bad_Name", {
          image: "",
          limits: { memory: "lots" },
          labels: { "com.openfaas.scale.min": "few" },
          secrets: ["api-key"],
        });
        const messages = [
          /^validation failed: service: \(Bad_Name\) is invalid, must be a valid DNS entry; image: is required; /,
          /limits\.memory/,
          /com\.openfaas\.scale\.min/,
          /unable to fetch secrets: secrets "api-key" not found/,
        ];
        await backend().functions.create(deployment("fn"));
        for (const message of messages) {
          await fails("invalid", message, backend().functions.create(wrong));
          await fails("invalid", message, backend().functions.update(wrong));
        }
        const nameless = backend().functions.create(deployment("fn", { image: "" }));
        await fails("invalid", /^validation failed: image: is required$/, nameless);
        const noImage = backend().functions.update(deployment("fn", { image: "" }));
        await fails("invalid", /^validation failed: image: is required$/, noImage);
      });

      test("existence is checked before secrets, so that a client falls back from update to create", async () => {
        await fails("notFound", /fn/, backend().functions.update(deployment("fn", { secrets: ["api-key"] })));
      });

      test("an update replaces the whole definition and what runs", async () => {
        await backend().functions.create(deployment("fn", { labels: { team: "x" }, envVars: { a: "1" } }));
        const before = await ready("fn");
        const generation = (await endpoints("fn"))?.generation ?? 0;
        await backend().functions.update(deployment("fn", { image: subject.images.v2, annotations: { b: "2" } }));
        await eventually("the new version serves", async () => (await call("fn")) === "v2");
        const after = await ready("fn");
        expect(after).toMatchObject({ image: subject.images.v2, createdAt: before.createdAt });
        expect(after.labels).toEqual({ faas_function: "fn" });
        expect(after).not.toHaveProperty("envVars");
        expect((await endpoints("fn"))?.generation).toBeGreaterThan(generation);
      });

      test("an update that changes nothing leaves the replicas alone", async () => {
        const same = deployment("fn", { envVars: { a: "1", b: "2" }, labels: { x: "y" } });
        await backend().functions.create(same);
        await ready("fn");
        const before = await endpoints("fn");
        await backend().functions.update({ ...same, envVars: { b: "2", a: "1" } });
        expect(await endpoints("fn")).toEqual(before);
      });

      test("an update keeps the number of replicas, unless the minimum is higher", async () => {
        await backend().functions.create(deployment("fn"));
        await backend().functions.scale(ref("fn"), 2);
        await backend().functions.update(deployment("fn", { labels: { "com.openfaas.scale.min": "1" } }));
        expect(await get("fn")).toMatchObject({ replicas: 2 });
        await backend().functions.update(deployment("fn", { labels: { "com.openfaas.scale.min": "3" } }));
        expect(await get("fn")).toMatchObject({ replicas: 3 });
      });

      test("a new function starts with its minimum of replicas", async () => {
        await backend().functions.create(deployment("fn", { labels: { "com.openfaas.scale.min": "2" } }));
        expect(await ready("fn", 2)).toMatchObject({ replicas: 2 });
      });

      test("scaling goes up, down and to zero and back", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        await backend().functions.scale(ref("fn"), 3);
        await ready("fn", 3);
        await backend().functions.scale(ref("fn"), 0);
        const asleep = await ready("fn", 0);
        expect(asleep).not.toHaveProperty("replicas");
        expect(asleep).not.toHaveProperty("availableReplicas");
        await backend().functions.scale(ref("fn"), 1);
        await ready("fn");
        expect(await call("fn")).toBe("v1");
      });

      test("scaled down, it keeps the replica that has calls, and its call", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        const [oldest] = (await endpoints("fn"))?.endpoints ?? [];
        await backend().functions.scale(ref("fn"), 3);
        await ready("fn", 3);
        // Left to itself, a backend keeps the oldest.
        const busy = (await endpoints("fn"))?.endpoints.findLast(({ address }) => address !== oldest?.address);
        if (!busy) throw new Error("there is no younger replica");
        const answer = fetchText(busy.address, "/1500");
        await backend().functions.scale(ref("fn"), 1, { [busy.address]: 1 });
        expect(await answer).toBe("v1");
        await ready("fn", 1);
        const left = (await endpoints("fn"))?.endpoints.filter(({ state }) => state === "ready");
        expect(left?.map(({ instance }) => instance)).toEqual([busy.instance]);
      });

      test("scaled down with a call at each, none is cut", async () => {
        await backend().functions.create(deployment("fn"));
        await backend().functions.scale(ref("fn"), 3);
        await ready("fn", 3);
        const addresses = (await endpoints("fn"))?.endpoints.map(({ address }) => address) ?? [];
        const answers = addresses.map((address) => fetchText(address, "/1500"));
        await backend().functions.scale(ref("fn"), 1, Object.fromEntries(addresses.map((address) => [address, 1])));
        expect(await Promise.all(answers)).toEqual(["v1", "v1", "v1"]);
        await ready("fn", 1);
      });

      test("no function gets an absurd number of replicas", async () => {
        await backend().functions.create(deployment("fn"));
        await fails("invalid", /replicas/, backend().functions.scale(ref("fn"), 1_000_000));
      });

      test("a removed function is gone, and its name is free", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        await backend().functions.remove(ref("fn"));
        expect(await get("fn")).toBeUndefined();
        await backend().functions.create(deployment("fn", { image: subject.images.v2 }));
        await ready("fn");
        expect(await call("fn")).toBe("v2");
      });

      test("usage is measured when asked for", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        const status = await backend().functions.get(ref("fn"), true);
        if (subject.unmeasured) {
          expect(status).toMatchObject({ name: "fn", availableReplicas: 1 });
          expect(status).not.toHaveProperty("usage");
          return;
        }
        expect(status?.usage?.totalMemoryBytes).toBeGreaterThan(1024 * 1024);
        expect(status?.usage?.cpu).toBeGreaterThanOrEqual(0);
      });

      test("a function that does not come up says why", async () => {
        await backend().functions.create(deployment("fn", { image: subject.brokenImage }));
        const status = await eventually("there is a problem", async () => {
          const now = await get("fn");
          return now?.problem ? now : undefined;
        });
        expect(status.availableReplicas).toBeUndefined();
        // Callers are told once it has failed for some time, and then as much as people.
        const told = await eventually("callers are told", async () => (await endpoints("fn"))?.problem);
        const kind = (problem = "") => problem.split(/[,:;]/)[0];
        expect(kind(told)).toBe(kind(status.problem));
      });

      test("an update that does not come up leaves the old version serving", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        await backend().functions.update(deployment("fn", { image: subject.brokenImage }));
        await eventually("there is a problem", async () => (await get("fn"))?.problem);
        expect(await call("fn")).toBe("v1");
        await backend().functions.update(deployment("fn", { image: subject.images.v2 }));
        await eventually("the mended version serves", async () => (await call("fn")) === "v2");
        await eventually("the problem is over", async () => (await get("fn"))?.problem === undefined);
      });

      test("functions outlive the backend", async () => {
        await backend().functions.create(deployment("fn", { envVars: { a: "1" } }));
        await backend().functions.scale(ref("fn"), 2);
        const before = await ready("fn", 2);
        await subject.reopen();
        expect(await ready("fn", 2)).toEqual(before);
        expect(await call("fn")).toBe("v1");
      });
    });

    describe("secrets", () => {
      const secret = (name: string) => ref(name);
      const value = Buffer.from([0, 255, 10, 65]);

      test("live from create to remove, listed by name only", async () => {
        await backend().secrets.create(secret("b"), value);
        await backend().secrets.create(secret("a"), value);
        expect(await backend().secrets.list(subject.defaultNamespace)).toEqual([ref("a"), ref("b")]);
        await fails("conflict", /a/, backend().secrets.create(secret("a"), value));
        await backend().secrets.update(secret("a"), Buffer.from("new"));
        await backend().secrets.remove(secret("a"));
        expect(await backend().secrets.list(subject.defaultNamespace)).toEqual([ref("b")]);
      });

      test("what does not exist cannot be updated or removed", async () => {
        await fails("notFound", /nobody/, backend().secrets.update(secret("nobody"), value));
        await fails("notFound", /nobody/, backend().secrets.remove(secret("nobody")));
      });

      test("an unknown namespace is refused", async () => {
        await fails("invalid", /nowhere/, backend().secrets.list("nowhere"));
        await fails("invalid", /nowhere/, backend().secrets.create({ name: "a", namespace: "nowhere" }, value));
      });

      test("a function lists its secrets sorted; one that is removed no longer deploys", async () => {
        await backend().secrets.create(secret("b"), value);
        await backend().secrets.create(secret("a"), value);
        await backend().functions.create(deployment("fn", { secrets: ["b", "a"] }));
        expect(await ready("fn")).toMatchObject({ secrets: ["a", "b"] });
        await backend().secrets.remove(secret("b"), true);
        const again = backend().functions.update(deployment("fn", { secrets: ["b"], envVars: { x: "1" } }));
        await fails("invalid", /unable to fetch secrets: secrets "b" not found/, again);
      });
    });

    describe("secrets in use", () => {
      const value = Buffer.from("v");

      test("removing one is refused, naming the functions, until none uses it or it is forced", async () => {
        for (const name of ["a", "b"]) await backend().secrets.create(ref(name), value);
        await backend().functions.create(deployment("two", { secrets: ["a", "b"] }));
        await backend().functions.create(deployment("one", { secrets: ["a"] }));
        // Whether it runs makes no difference: it needs them when it wakes.
        await backend().functions.scale(ref("one"), 0);
        const inUse = /^secret a is in use by the functions one, two; force removes it all the same$/;
        await fails("conflict", inUse, backend().secrets.remove(ref("a")));
        await fails("conflict", /^secret b is in use by the function two;/, backend().secrets.remove(ref("b"), false));
        expect(await backend().secrets.list(subject.defaultNamespace)).toEqual([ref("a"), ref("b")]);

        await backend().functions.update(deployment("two", { secrets: ["a"] }));
        await backend().secrets.remove(ref("b"));
        await backend().functions.remove(ref("one"));
        await fails("conflict", /by the function two;/, backend().secrets.remove(ref("a")));
        await backend().secrets.remove(ref("a"), true);
        expect(await backend().secrets.list(subject.defaultNamespace)).toEqual([]);
        await fails("notFound", /a/, backend().secrets.remove(ref("a"), true));
      });
    });

    describe("namespaces", () => {
      test("the default one is always there and stays", async () => {
        const name = subject.defaultNamespace;
        expect(await backend().namespaces.list()).toEqual([name]);
        expect(await backend().namespaces.get(name)).toMatchObject({ name });
        await fails("invalid", /default/, backend().namespaces.remove(name));
        await fails("conflict", /exists/, backend().namespaces.create({ name }));
      });

      test("live from create to remove", async () => {
        await backend().namespaces.create({ name: "staging", labels: { a: "1" } });
        await fails("conflict", /staging already exists/, backend().namespaces.create({ name: "staging" }));
        expect(await backend().namespaces.list()).toEqual([subject.defaultNamespace, "staging"]);
        expect(await backend().namespaces.get("staging")).toEqual({
          name: "staging",
          labels: { a: "1", openfaas: "1" },
          annotations: { openfaas: "1" },
        });
        await backend().namespaces.update({ name: "staging", labels: { b: "2" } });
        expect((await backend().namespaces.get("staging"))?.labels).toEqual({ b: "2", openfaas: "1" });
        await backend().namespaces.remove("staging");
        expect(await backend().namespaces.get("staging")).toBeUndefined();
      });

      test("what does not exist cannot be updated or removed", async () => {
        await fails("notFound", /nowhere/, backend().namespaces.update({ name: "nowhere" }));
        await fails("notFound", /nowhere/, backend().namespaces.remove("nowhere"));
      });

      test("functions and secrets of two namespaces do not meet", async () => {
        const staging = { name: "fn", namespace: "staging" };
        await backend().namespaces.create({ name: "staging" });
        await backend().functions.create(deployment("fn"));
        await backend().functions.create(deployment("fn", { namespace: "staging", image: subject.images.v2 }));
        await backend().secrets.create({ name: "s", namespace: "staging" }, Buffer.from("x"));
        expect(await backend().secrets.list(subject.defaultNamespace)).toEqual([]);
        await fails("conflict", /staging/, backend().namespaces.remove("staging"));
        await backend().functions.remove(staging);
        await backend().namespaces.remove("staging");
        await fails("invalid", /staging/, backend().functions.list("staging"));
        expect(await backend().functions.list(subject.defaultNamespace)).toHaveLength(1);

        await backend().namespaces.create({ name: "staging" });
        expect(await backend().secrets.list("staging")).toEqual([]);
      });
    });

    describe("logs", () => {
      test("a function's lines come back with their origin, oldest first", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        for (const n of [1, 2, 3]) await call("fn", `/line-${n}`);
        const lines = await eventually("all lines are kept", async () => {
          const found = (await logs({})).filter(({ text }) => text.includes("line-"));
          return found.length === 3 ? found : undefined;
        });
        expect(lines.map(({ text }) => text)).toEqual(["/line-1\n", "/line-2\n", "/line-3\n"]);
        const [first] = lines;
        expect(first).toMatchObject({ name: "fn", namespace: subject.defaultNamespace });
        expect(first?.instance).not.toBe("");
        expect(Date.parse(first?.timestamp ?? "")).toBeGreaterThan(Date.now() - 60_000);
        expect((await logs({ tail: 1 })).map(({ text }) => text)).toEqual(["/line-3\n"]);
        expect(await logs({ since: new Date(Date.now() + 60_000) })).toEqual([]);
        expect(await logs({ instance: "another" })).toEqual([]);
        const others = (await logs({ instance: first?.instance ?? "" })).filter(({ text }) => text.includes("line-"));
        expect(others).toEqual(lines);
      });

      test("a reader who follows gets new lines, also of new replicas, until it leaves", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        const seen: string[] = [];
        const reader = new AbortController();
        const done = (async () => {
          const query = { name: "fn", namespace: subject.defaultNamespace, follow: true };
          for await (const { text } of backend().logs(query, reader.signal)) seen.push(text);
        })();
        await call("fn", "/first");
        await eventually("the first line came", async () => seen.includes("/first\n"));
        await backend().functions.update(deployment("fn", { image: subject.images.v2 }));
        await eventually("the new version serves", async () => (await call("fn", "/second")) === "v2");
        await eventually("the second line came", async () => seen.includes("/second\n"));
        reader.abort();
        await done;
      });

      test("an unknown function is not found", async () => {
        await fails("notFound", /nobody/, logs({ name: "nobody" }));
      });

      test("a function without replicas has an end of its logs", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        await backend().functions.scale(ref("fn"), 0);
        await ready("fn", 0);
        expect(Array.isArray(await logs({}))).toBe(true);
      });
    });

    describe("watch", () => {
      const follow = () => {
        const events: EndpointsEvent[] = [];
        void (async () => {
          for await (const event of backend().watch(leave.signal)) events.push(event);
        })();
        return events;
      };
      const last = (events: readonly EndpointsEvent[]) => {
        const event = events.at(-1);
        return event && event.type !== "heartbeat" ? event : undefined;
      };

      test("starts with a snapshot that is closed by one heartbeat", async () => {
        await backend().functions.create(deployment("a", { envVars: { max_inflight: "4" }, labels: { x: "y" } }));
        await backend().functions.create(deployment("b"));
        await ready("a");
        await ready("b");
        const events = follow();
        await eventually("the heartbeat came", async () => events.some(({ type }) => type === "heartbeat"));
        expect(events.map(({ type }) => type)).toEqual(["snapshot", "snapshot", "heartbeat"]);
        const [a] = events.flatMap((event) => (event.type === "snapshot" ? [event.function] : []));
        expect(a).toMatchObject({ name: "a", namespace: subject.defaultNamespace, replicas: 1, maxInflight: 4 });
        expect(a?.labels).toMatchObject({ x: "y" });
        const [endpoint, ...others] = a?.endpoints ?? [];
        expect(others).toEqual([]);
        // How it came up may be told, or not.
        const { startup = {}, ...told } = endpoint ?? {};
        expect(told).toEqual({
          address: expect.stringMatching(/^.+:\d+$/),
          instance: expect.any(String),
          state: "ready",
        });
        for (const ms of Object.values(startup)) expect(ms).toBeGreaterThanOrEqual(0);
      });

      test("tells of new functions, their replicas and their end", async () => {
        const events = follow();
        await eventually("the heartbeat came", async () => events.length === 1);
        await backend().functions.create(deployment("fn"));
        await eventually("it is ready", async () => last(events)?.function.endpoints[0]?.state === "ready");
        await backend().functions.scale(ref("fn"), 0);
        await eventually("it is asleep", async () => {
          const event = last(events);
          return event?.function.replicas === 0 && event.function.endpoints.length === 0;
        });
        await backend().functions.remove(ref("fn"));
        await eventually("it is gone", async () => last(events)?.type === "removed");
      });

      test("a replica that goes is draining before it is gone", async () => {
        await backend().functions.create(deployment("fn"));
        await ready("fn");
        const events = follow();
        await backend().functions.scale(ref("fn"), 0);
        await ready("fn", 0);
        await eventually("its end was told", async () => last(events)?.function.endpoints.length === 0);
        const states = events.flatMap((event) =>
          event.type === "heartbeat" ? [] : event.function.endpoints.map(({ state }) => state),
        );
        expect(states).toContain("draining");
      });

      test("ends when the reader leaves", async () => {
        const reader = new AbortController();
        const stream = backend().watch(reader.signal)[Symbol.asyncIterator]();
        expect(await stream.next()).toMatchObject({ value: { type: "heartbeat" } });
        const next = stream.next();
        reader.abort();
        expect(await next).toEqual({ done: true, value: undefined });
      });
    });

    test("closing twice is the same as closing once, and nothing is written afterwards", async () => {
      await backend().functions.create(deployment("fn"));
      await Promise.all([backend().close(5_000), backend().close(5_000)]);
      await fails("unavailable", /shutting down/, backend().functions.create(deployment("other")));
    });
  });
}

async function eventually<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function fetchText(address: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const req = request(`http://${address}${path}`, { agent: false, timeout: SETTLE_MS }, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      res.on("error", reject).on("end", () => resolve(text));
    });
    req.on("timeout", () => req.destroy(new Error("call timed out"))).on("error", reject);
    req.end();
  });
}
