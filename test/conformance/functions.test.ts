import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { expectFields } from "./facts.ts";
import { settings } from "./settings.ts";
import { ECHO, noReflect, openTarget, REFLECT, status, type Target, unlessFaaslane } from "./target.ts";

/* What OpenFaaS's certifier asks of a provider, through the gateway. */

const SLOW_MS = 90_000;
/** Starts and ends of replicas take their time on a cluster. */
const WAIT_MS = 60_000;

let target: Target;

beforeAll(async () => {
  const functions = ["certified", "verbs", "secretive", "scaled", "counted", "alerted"];
  target = await openTarget({ functions, secrets: ["certified-secret"] });
}, 120_000);

afterAll(() => target?.close());

const post = (path: string, body: object) => target.control(path, { method: "POST", body: JSON.stringify(body) });

describe("what a deployment says is read back", () => {
  const labels = { upstream_uri: "example.com", canary_build: "true" };
  const annotations = { "important-date": "Fri Aug 10 08:21:00 BST 2018", some_json: '{\n    "a": "b"\n}' };
  const limits = { memory: "64Mi", cpu: "100m" };
  const envVars = { custom_env: "value", empty: "" };

  beforeAll(() => target.deploy({ service: "certified", ...ECHO, labels, annotations, limits, envVars }), SLOW_MS);

  const read = async () => {
    const listed = (await (await target.control("/system/functions")).json()) as { name: string }[];
    return { one: await status(target.control, "certified"), listed: listed.find(({ name }) => name === "certified") };
  };

  test.each<[string, object]>([
    ["labels, and one that says that it is a function", { labels: { ...labels, faas_function: "certified" } }],
    ["annotations, of several lines too", { annotations }],
    ["limits", { limits }],
    ["image and namespace", { image: ECHO.image, namespace: settings.namespace }],
    ["a time of creation", { createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) }],
  ])("%s", async (_what, facts) => {
    const { one, listed } = await read();
    expectFields(one, facts);
    expectFields(listed, facts);
  });

  test("what was not said is not there", async () => {
    const { one, listed } = await read();
    for (const field of ["requests", "secrets", "constraints"]) {
      expect(one).not.toHaveProperty(field);
      expect(listed).not.toHaveProperty(field);
    }
  });

  const keeps = unlessFaaslane({
    original: "forgets variables",
    why: "who reads a function's status to deploy it again would lose them",
  });
  testNeeding(keeps)("variables", async () => expect((await read()).one).toMatchObject({ envVars }));

  test(
    "what an update leaves out is gone",
    async () => {
      const body = JSON.stringify({ service: "certified", ...ECHO });
      const answer = await target.control("/system/functions", { method: "PUT", body });
      expect([200, 202]).toContain(answer.status);
      await eventually(
        "the labels are gone",
        async () => (await status(target.control, "certified"))?.labels?.upstream_uri === undefined,
        WAIT_MS,
      );
    },
    SLOW_MS,
  );
});

describe("calls", () => {
  beforeAll(async () => {
    await target.deploy({ service: "verbs", ...REFLECT });
    await eventually("it answers", async () => (await target.call("verbs")).status === 200, WAIT_MS, 50);
  }, SLOW_MS);

  testNeeding(noReflect).each(["GET", "POST", "PUT", "PATCH", "DELETE"])("%s reaches the function", async (method) => {
    const answer = await target.call("verbs?testing=1", { method });
    expect(await answer.json()).toMatchObject({ method, requestURI: "/?testing=1" });
    expect(answer.headers.get("x-call-id")).toMatch(/./);
    expect(answer.headers.get("x-start-time")).toMatch(/^\d{19}$/);
  });

  testNeeding(noReflect)("the same with the default namespace's name", async () => {
    expect((await target.call(`verbs.${settings.namespace}`)).status).toBe(200);
  });

  testNeeding(noReflect)("a redirect of the function is passed on, and not followed", async () => {
    expect((await target.call("verbs?status=302")).status).toBe(302);
  });

  test("an unknown function is none of the gateway's errors", async () => {
    expect([404, 502]).toContain((await target.call("no-such-function")).status);
  });

  testNeeding(noReflect)("events arrive as they are sent", async () => {
    const stop = new AbortController();
    // Nothing follows the first: held back until the end, it would never come.
    const answer = await target.call("verbs?hold=1", { headers: { accept: "text/event-stream" }, signal: stop.signal });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const { value } = await reader.read();
    expect(Buffer.from(value as Uint8Array).toString()).toBe("data: 0\n\n");
    stop.abort();
  });
});

describe("logs", () => {
  test(
    "end by themselves unless they are followed, and every line has its fields",
    async () => {
      await (await target.call("certified", { method: "POST", body: "logged" })).arrayBuffer();
      const lines = await eventually(
        "the call is in the logs",
        async () => {
          const answer = await target.control("/system/logs?name=certified&follow=false");
          const text = await answer.text();
          return answer.status === 200 && text.includes('"text":') && text.trim().split("\n");
        },
        30_000,
        100,
      );
      for (const line of lines) {
        expect(JSON.parse(line)).toEqual({
          name: "certified",
          namespace: expect.any(String),
          instance: expect.any(String),
          timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/),
          text: expect.any(String),
        });
      }
    },
    SLOW_MS,
  );

  test(
    "that are followed go on with what is said",
    async () => {
      const stop = new AbortController();
      const answer = await target.control("/system/logs?name=certified&follow=true&tail=1", { signal: stop.signal });
      expect(answer.status).toBe(200);
      const bytes = 4321;
      const calling = setInterval(() => {
        target.call("certified", { method: "POST", body: "x".repeat(bytes) }).then(
          (call) => call.arrayBuffer(),
          () => {},
        );
      }, 250);
      try {
        let text = "";
        for await (const part of answer.body as AsyncIterable<Uint8Array>) {
          text += Buffer.from(part).toString();
          if (text.includes(`Wrote ${bytes} Bytes`)) break;
        }
        expect(text).toContain(`Wrote ${bytes} Bytes`);
      } finally {
        clearInterval(calling);
        stop.abort();
      }
    },
    SLOW_MS,
  );
});

const catSecret = (service: string) => ({
  service,
  ...ECHO,
  envProcess: "cat /var/openfaas/secrets/certified-secret",
  envVars: { fprocess: "cat /var/openfaas/secrets/certified-secret" },
  secrets: ["certified-secret"],
});

test(
  "a function reads its secret, byte for byte, and what an update of both makes of it",
  async () => {
    const secret = async (method: string, value: object) => {
      const body = JSON.stringify({ name: "certified-secret", ...value });
      expect([200, 202]).toContain((await target.control("/system/secrets", { method, body })).status);
    };
    const says = async (text: string) => {
      await eventually(
        `the function says ${JSON.stringify(text)}`,
        async () => (await (await target.call("secretive", { method: "POST" })).text()) === text,
        WAIT_MS,
        100,
      );
    };
    // Bytes win over text, as both are sent by `faas-cli secret create --from-file`.
    await secret("POST", { value: "trimmed", rawValue: Buffer.from(" raw \n").toString("base64") });
    await target.deploy(catSecret("secretive"));
    await says(" raw \n");
    await secret("PUT", { value: "second" });
    const body = JSON.stringify(catSecret("secretive"));
    expect([200, 202]).toContain((await target.control("/system/functions", { method: "PUT", body })).status);
    await says("second");
  },
  3 * SLOW_MS,
);

describe("scaling", () => {
  beforeAll(() => target.deploy({ service: "scaled", ...ECHO, labels: { "com.openfaas.scale.min": "2" } }), SLOW_MS);

  const replicasAre = (name: string, replicas: number) =>
    eventually(
      `${name} has ${replicas} replicas`,
      async () => ((await status(target.control, name))?.replicas ?? 0) === replicas,
      WAIT_MS,
      50,
    );

  test("a function starts with its least number of replicas", () => replicasAre("scaled", 2), SLOW_MS);

  const fromZero = unlessFaaslane({ original: "refuses, or makes it one", why: "none is a number of replicas, too" });
  testNeeding(fromZero)(
    "none are none, and the next call starts one and is answered",
    async () => {
      const answer = await post("/system/scale-function/scaled", { serviceName: "scaled", replicas: 0 });
      expect([200, 202]).toContain(answer.status);
      await replicasAre("scaled", 0);
      const called = await target.call("scaled", { method: "POST", body: "awake" });
      expect([called.status, await called.text()]).toEqual([200, "awake"]);
    },
    2 * SLOW_MS,
  );

  test(
    "alerts add a share of the most while they fire, and end at the least",
    async () => {
      const labels = {
        "com.openfaas.scale.min": "1",
        "com.openfaas.scale.max": "3",
        "com.openfaas.scale.factor": "34",
      };
      await target.deploy({ service: "alerted", ...ECHO, labels });
      const alert = async (state: string) => {
        const named = { alertname: "APIHighInvocationRate", function_name: `alerted.${settings.namespace}` };
        const answer = await post("/system/alert", { alerts: [{ status: state, labels: named }] });
        expect([answer.status, await answer.text()]).toEqual([200, ""]);
      };
      await alert("firing"); // ⌈3 × 34 %⌉ = 2 more
      await replicasAre("alerted", 3);
      await alert("firing");
      await replicasAre("alerted", 3);
      await alert("resolved");
      await replicasAre("alerted", 1);
    },
    3 * SLOW_MS,
  );
});

test(
  "the list tells how often a function was called",
  async () => {
    await target.deploy({ service: "counted", ...ECHO });
    for (let call = 0; call < 3; call++) {
      await eventually(
        "it answers",
        async () => {
          const answer = await target.call("counted", { method: "POST", body: "x" });
          await answer.arrayBuffer();
          return answer.status === 200;
        },
        WAIT_MS,
      );
    }
    await eventually(
      "three calls are counted, or more",
      async () => {
        const list = (await (await target.control("/system/functions")).json()) as {
          name: string;
          invocationCount?: number;
        }[];
        return (list.find(({ name }) => name === "counted")?.invocationCount ?? 0) >= 3;
      },
      WAIT_MS,
      200,
    );
  },
  2 * SLOW_MS,
);
