import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { mergeValues, readValues, renderChart, type Values } from "../../deploy/render/render-chart.ts";
import { buildValuesSchema } from "../../deploy/render/values-schema.ts";
import { type Schema, schemaProblems } from "../provider/kubernetes/resources/object-schema.ts";
import { ROOT } from "../support/platform.ts";
import { CHART, find, RELEASE, render, VARIANTS } from "./chart-support.ts";

describe("values", () => {
  /** Names of all values, `a.b.c`, down to those that are no maps or empty ones. */
  const names = (values: Values, path = ""): string[] =>
    Object.entries(values).flatMap(([key, value]) => {
      const isMap =
        typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
      return isMap ? names(value as Values, `${path}${key}.`) : [`${path}${key}`];
    });
  const templates = readdirSync(join(CHART, "templates")).map((name) =>
    readFileSync(join(CHART, "templates", name), "utf8"),
  );
  const used = new Set(
    templates.flatMap((source) =>
      [...source.matchAll(/\.Values((?:\.\w+)+)/g)].map(([, path]) => path?.slice(1) ?? ""),
    ),
  );

  test("that templates use exist, and those that exist are used", () => {
    const all = names(readValues(CHART));
    const isUsed = (name: string) => [...used].some((path) => name === path || name.startsWith(`${path}.`));
    const exists = (path: string) => all.some((name) => name === path || name.startsWith(`${path}.`));
    expect(all.filter((name) => !isUsed(name))).toEqual([]);
    expect([...used].filter((path) => !exists(path))).toEqual([]);
  });

  test("that the guide names exist", () => {
    const guide = readFileSync(join(ROOT, "docs/kubernetes.md"), "utf8");
    const table = guide.slice(guide.indexOf("### Values"), guide.indexOf("### What the provider may do"));
    const cells = [...table.matchAll(/^\| (`.*?)\|/gm)].flatMap(([, cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)]);
    const set = guide.matchAll(/--set (\S+?)=/g);
    const named = [...cells, ...set].map(([, name = ""]) => name.replace(".*", ""));
    const all = names(readValues(CHART));
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((name) => !all.some((known) => known === name || known.startsWith(`${name}.`)))).toEqual([]);
  });

  test("that are misspelt are refused by the schema, others are not", () => {
    const schema = buildValuesSchema(readValues(CHART)) as Schema;
    const check = (values: Values) =>
      schemaProblems(withoutUnions(schema), mergeValues(readValues(CHART), values), new Map());
    for (const values of Object.values(VARIANTS)) expect(check(values)).toEqual([]);
    expect(check({ gateway: { replica: 2 } })).toEqual([".gateway.replica: is unknown"]);
    expect(check({ clusterRole: "yes" })).toEqual(['.clusterRole: is no boolean: "yes"']);
  });

  test("of OpenFaaS's chart keep their names", () => {
    const all = names(readValues(CHART));
    expect(all).toEqual(
      expect.arrayContaining([
        "functionNamespace",
        "basic_auth",
        "generateBasicAuth",
        "openfaasImagePullPolicy",
        "clusterRole",
        "createCRDs",
        "exposeServices",
        "serviceType",
        "gateway.replicas",
        "gateway.nodePort",
        "gateway.readTimeout",
        "gateway.upstreamTimeout",
        "functions.httpProbe",
        "functions.setNonRootUser",
        "functions.imagePullPolicy",
        "queueWorker.replicas",
        "queueWorker.ackWait",
        "queueWorkerPro.maxRetryAttempts",
        "queueWorkerPro.initialRetryWait",
        "queueWorkerPro.maxRetryWait",
        "queueWorkerPro.httpRetryCodes",
        "nats.external.enabled",
        "nats.external.host",
        "nats.external.port",
        "nats.streamReplication",
        "ingress.enabled",
        "kubernetesDNSDomain",
        "nodeSelector",
        "tolerations",
        "affinity",
      ]),
    );
  });

  /** Our checker knows one type at a time. */
  function withoutUnions(schema: Schema): Schema {
    return JSON.parse(
      JSON.stringify(schema, (key, value: unknown) => (key === "type" && Array.isArray(value) ? undefined : value)),
    ) as Schema;
  }

  test.each<[string, Values, RegExp]>([
    ["two gateways on one file", { gateway: { replicas: 2 } }, /embedded queue is one file/],
    [
      "copies on one server",
      { queue: { kind: "jetstream" }, nats: { streamReplication: 3 } },
      /streamReplication: the chart's own NATS is one server/,
    ],
    [
      "a server without a name",
      { queue: { kind: "jetstream" }, nats: { external: { enabled: true } } },
      /nats.external.host: name the server/,
    ],
    ["a delay in minutes", { gateway: { drainDelay: "1m" } }, /gateway.drainDelay: 1m is not in seconds/],
    ["a drain in minutes", { gateway: { drainTimeout: "2m" } }, /drainTimeout: 2m is not in seconds/],
    ["a route to nowhere", { gatewayApi: { enabled: true } }, /parentRefs: name the Gateway/],
  ])("that cannot work are refused: %s", (_what, values, message) => {
    expect(() => render(values)).toThrow(message);
  });
});

describe.each<[what: string, secret: string, user: string, keys: string, values: Values]>([
  ["the password", "basic-auth", "admin", "basic-auth", {}],
  ["the password of NATS", "nats-credentials", "faaslane", "nats", { queue: { kind: "jetstream" } }],
])("%s", (_what, secret, user, keys, values) => {
  const install = (existing: object) =>
    renderChart(CHART, values, RELEASE, {
      randAlphaNum: (length) => "x".repeat(Number(length)),
      lookup: (_version, _kind, namespace, name) => (namespace === "openfaas" && name === secret ? existing : {}),
    });
  const data = (existing: object) => find(install(existing).objects, "Secret", secret).data;

  test("is made when the chart is installed", () => {
    expect(data({})).toEqual({
      [`${keys}-user`]: Buffer.from(user).toString("base64"),
      [`${keys}-password`]: Buffer.from("x".repeat(32)).toString("base64"),
    });
  });

  test("stays when the chart is upgraded", () => {
    const existing = { data: { [`${keys}-user`]: "YQ==", [`${keys}-password`]: "Yg==" } };
    expect(data(existing)).toEqual(existing.data);
  });

  test("is in no file that is only rendered", () => {
    expect(() => renderChart(CHART, values, RELEASE)).toThrow(/random/);
  });
});

test("a Secret of one's own is used instead of one that is made", () => {
  const { objects } = renderChart(
    CHART,
    { queue: { kind: "jetstream" }, generateBasicAuth: false, nats: { credentialsSecret: "mine" } },
    RELEASE,
  );
  expect(objects.filter(({ kind }) => kind === "Secret")).toEqual([]);
  expect(JSON.stringify(find(objects, "StatefulSet", "nats"))).toContain('"secretKeyRef":{"name":"mine"');
});
