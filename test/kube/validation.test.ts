import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { KubeServer } from "../support/kube/server.ts";
import {
  type Answer,
  CONFIG_MAPS,
  CORE,
  DEPLOYMENTS,
  deployment,
  KubeClient,
  PODS,
  SECRETS,
  SERVICES,
  service,
} from "./client.ts";

let kube: KubeServer;
let client: KubeClient;

beforeAll(async () => {
  kube = await KubeServer.open({ without: ["deployments", "scheduler"] });
  client = new KubeClient(kube);
});

afterAll(async () => {
  await kube.close();
});

async function causes(path: string, body: unknown): Promise<string[]> {
  const reply = await client.send("POST", `${path}?dryRun=All`, body);
  if (reply.status === 201) return [];
  if (reply.status !== 422) return [`${reply.status}: ${reply.body.message}`];
  return reply.body.details.causes.map(({ field, message }: Answer) => `${field}: ${message}`);
}

const probe = (fields: object) => ({ livenessProbe: { httpGet: { path: "/", port: 8080 }, ...fields } });
const resources = (requests: object, limits: object = {}) => ({ resources: { requests, limits } });

describe("deployments", () => {
  test.each<[what: string, spec: Record<string, unknown>, container: Record<string, unknown>, problem: RegExp]>([
    [
      "too few replicas",
      { replicas: -1 },
      {},
      /^spec.replicas: Invalid value: -1: must be greater than or equal to 0$/,
    ],
    [
      "a text as number",
      { replicas: "2" },
      {},
      /^400: .*json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32$/,
    ],
    ["no selector", { selector: undefined }, {}, /^spec.selector: Required value$/],
    [
      "an empty selector",
      { selector: {} },
      {},
      /^spec.selector: Invalid value: {}: empty selector is invalid for deployment$/,
    ],
    [
      "another selector",
      { selector: { matchLabels: { a: "b" } } },
      {},
      /^spec.template.metadata.labels: .*does not match template/,
    ],
    [
      "no progress possible",
      { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } },
      {},
      /may not be 0 when `maxSurge` is 0/,
    ],
    [
      "a strategy's fields for another",
      { strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } },
      {},
      /Forbidden: may not be specified when strategy `type` is 'Recreate'/,
    ],
    [
      "no such strategy",
      { strategy: { type: "Swap" } },
      {},
      /^spec.strategy.type: Unsupported value: "Swap": supported values: "Recreate", "RollingUpdate"$/,
    ],
    [
      "a bad portion",
      { strategy: { rollingUpdate: { maxSurge: "lots" } } },
      {},
      /^spec.strategy.rollingUpdate.maxSurge: Invalid value: "lots"/,
    ],
    [
      "a deadline too short",
      { progressDeadlineSeconds: 5, minReadySeconds: 5 },
      {},
      /must be greater than minReadySeconds/,
    ],
    [
      "a bad container name",
      {},
      { name: "A" },
      /^spec.template.spec.containers\[0\].name: Invalid value: "A": a lowercase RFC 1123 label/,
    ],
    ["no image", {}, { image: "" }, /^spec.template.spec.containers\[0\].image: Required value$/],
    ["an image with a space", {}, { image: " x" }, /must not have leading or trailing whitespace/],
    [
      "no such pull policy",
      {},
      { imagePullPolicy: "Sometimes" },
      /imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"/,
    ],
    ["a variable with =", {}, { env: [{ name: "a=b" }] }, /env\[0\].name: Invalid value: "a=b"/],
    [
      "a port too high",
      {},
      { ports: [{ containerPort: 70000 }] },
      /ports\[0\].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive/,
    ],
    [
      "a port name too long",
      {},
      { ports: [{ containerPort: 1, name: "a-very-long-name-of-a-port" }] },
      /ports\[0\].name: Invalid value/,
    ],
    [
      "a mount of nothing",
      {},
      { volumeMounts: [{ name: "v", mountPath: "/v" }] },
      /volumeMounts\[0\].name: Not found: "v"/,
    ],
    [
      "two mounts at one place",
      {},
      {
        volumeMounts: [
          { name: "v", mountPath: "/v" },
          { name: "v", mountPath: "/v" },
        ],
      },
      /mountPath: Duplicate value: "\/v"/,
    ],
    [
      "more asked for than allowed",
      {},
      resources({ cpu: "2" }, { cpu: "1500m" }),
      /requests: Invalid value: "2": must be less than or equal to cpu limit of 1500m/,
    ],
    ["no such resource", {}, resources({ speed: "1" }), /must be a standard resource type or fully qualified/],
    ["a negative amount", {}, resources({ cpu: "-1" }), /must be greater than or equal to 0/],
    ["a probe of nothing", {}, { livenessProbe: {} }, /livenessProbe: Required value: must specify a handler type/],
    ["a probe of two things", {}, probe({ exec: { command: ["x"] } }), /may not specify more than 1 handler type/],
    [
      "a liveness probe that must succeed twice",
      {},
      probe({ successThreshold: 2 }),
      /livenessProbe.successThreshold: Invalid value: 2: must be 1/,
    ],
    ["a negative delay", {}, probe({ initialDelaySeconds: -1 }), /initialDelaySeconds: Invalid value: -1/],
  ])("%s", async (_what, spec, container, problem) => {
    const found = await causes(DEPLOYMENTS, deployment("x", spec, container));
    expect(found).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });

  test("all problems are told at once", async () => {
    const found = await causes(DEPLOYMENTS, deployment("Bad_Name", { replicas: -1 }, { image: "" }));
    expect(found).toHaveLength(4);
  });

  test.each<[what: string, labels: Record<string, string>, problem: RegExp]>([
    ["a value with a space", { a: "b c" }, /^metadata.labels: Invalid value: "b c": a valid label must be/],
    ["a value too long", { a: "x".repeat(64) }, /must be no more than 63 characters/],
    ["a key with two slashes", { "a/b/c": "d" }, /a qualified name must consist of/],
    ["a key with a bad prefix", { "A_B/c": "d" }, /prefix part a lowercase RFC 1123 subdomain/],
    ["an empty key", { "": "d" }, /name part must be non-empty/],
  ])("labels: %s", async (_what, labels, problem) => {
    const body = deployment("x");
    const found = await causes(DEPLOYMENTS, { ...body, metadata: { ...body.metadata, labels } });
    expect(found).toEqual([expect.stringMatching(problem)]);
  });

  test("annotations may hold anything, but not too much", async () => {
    const annotated = (annotations: object) => ({ ...deployment("x"), metadata: { name: "x", annotations } });
    expect(await causes(DEPLOYMENTS, annotated({ "Com.Example/X": "anything { at all" }))).toEqual([]);
    expect(await causes(DEPLOYMENTS, annotated({ a: "x".repeat(300_000) }))).toEqual([
      "metadata.annotations: Too long: may not be more than 262144 bytes",
    ]);
  });

  test("sound ones are taken", async () => {
    const container = {
      ...probe({}),
      ...resources({ cpu: "100m", memory: "64Mi" }, { cpu: 0.5, memory: "128Mi", "nvidia.com/gpu": "1" }),
      env: [{ name: "a.b-c", value: "" }],
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 12000,
        capabilities: { drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      },
    };
    expect(
      await causes(
        `${DEPLOYMENTS}`,
        deployment("x", { strategy: { rollingUpdate: { maxSurge: "50%", maxUnavailable: 0 } } }, container),
      ),
    ).toEqual([]);
  });
});

describe("other kinds", () => {
  test.each<[what: string, path: string, body: Answer, problem: RegExp]>([
    [
      "a service whose name begins with a digit",
      SERVICES,
      { ...service("1x"), metadata: { name: "1x" } },
      /^metadata.name: Invalid value: "1x": a DNS-1035 label must consist/,
    ],
    ["a service without ports", SERVICES, { metadata: { name: "x" }, spec: {} }, /^spec.ports: Required value$/],
    [
      "a service with unnamed ports",
      SERVICES,
      { metadata: { name: "x" }, spec: { ports: [{ port: 1 }, { port: 2 }] } },
      /^spec.ports\[0\].name: Required value$/,
    ],
    ["a namespace with a dot", "/api/v1/namespaces", { metadata: { name: "a.b" } }, /a lowercase RFC 1123 label/],
    ["a name too long", CONFIG_MAPS, { metadata: { name: "x".repeat(254) } }, /must be no more than 253 characters/],
    [
      "a secret that is not base64",
      SECRETS,
      { metadata: { name: "x" }, data: { a: "%%%" } },
      /^400: .*illegal base64 data at input byte 0$/,
    ],
    [
      "a secret with a bad key",
      SECRETS,
      { metadata: { name: "x" }, stringData: { "a/b": "c" } },
      /a valid config key must consist/,
    ],
    [
      "a secret too large",
      SECRETS,
      { metadata: { name: "x" }, stringData: { a: "x".repeat(1_100_000) } },
      /^data: Too long: may not be more than 1048576 bytes$/,
    ],
    [
      "a pull secret without its key",
      SECRETS,
      { metadata: { name: "x" }, type: "kubernetes.io/dockerconfigjson" },
      /^data\[.dockerconfigjson\]: Required value$/,
    ],
    [
      "a pull secret that is no JSON",
      SECRETS,
      { metadata: { name: "x" }, type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": "{" } },
      /^data\[.dockerconfigjson\]: Invalid value: "<secret contents redacted>"/,
    ],
    [
      "a finalizer without a domain",
      CONFIG_MAPS,
      { metadata: { name: "x", finalizers: ["mine"] } },
      /neither a standard finalizer name/,
    ],
    [
      "an owner without uid",
      CONFIG_MAPS,
      { metadata: { name: "x", ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p" }] } },
      /ownerReferences\[0\].uid/,
    ],
    ["a pod without containers", PODS, { metadata: { name: "x" }, spec: {} }, /^spec.containers: Required value$/],
    [
      "a function without its image",
      "/apis/openfaas.com/v1/namespaces/openfaas-fn/functions",
      { apiVersion: "openfaas.com/v1", kind: "Function", metadata: { name: "x" }, spec: { name: "x" } },
      /^spec.image: Required value$/,
    ],
  ])("%s", async (_what, path, body, problem) => {
    expect(await causes(path, body)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });

  test("what may not change does not", async () => {
    await client.create(SECRETS, {
      metadata: { name: "fixed" },
      type: "Opaque",
      immutable: true,
      stringData: { a: "1" },
    });
    const type = { "content-type": "application/merge-patch+json" };
    const patch = async (path: string, body: object) => (await client.send("PATCH", path, body, type)).body.message;
    expect(await patch(`${SECRETS}/fixed`, { stringData: { a: "2" } })).toContain(
      "field is immutable when `immutable` is set",
    );
    expect(await patch(`${SECRETS}/fixed`, { type: "other" })).toContain(
      'type: Invalid value: "other": field is immutable',
    );
    await client.create(PODS, { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } });
    expect(await patch(`${PODS}/p`, { spec: { restartPolicy: "Never" } })).toContain(
      "pod updates may not change fields other than",
    );
    expect(await patch(`${PODS}/p`, { metadata: { labels: { a: "b" } } })).toBeUndefined();
  });

  test("a namespace that is going takes nothing new", async () => {
    await client.create("/api/v1/namespaces", { metadata: { name: "going", finalizers: ["a.b/c"] } });
    await client.delete("/api/v1/namespaces/going");
    const { status, body } = await client.send("POST", "/api/v1/namespaces/going/configmaps", {
      metadata: { name: "x" },
    });
    expect([status, body.details.causes[0].reason]).toEqual([403, "NamespaceTerminating"]);
    expect((await client.get("/api/v1/namespaces/going")).status.phase).toBe("Terminating");
  });

  test("a custom resource follows the schema of its definition", async () => {
    const schema = {
      type: "object",
      properties: {
        spec: {
          type: "object",
          required: ["size"],
          properties: {
            size: { type: "integer" },
            mode: { type: "string", enum: ["a", "b"] },
            level: { type: "string", default: "low" },
          },
        },
      },
    };
    const version = { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } };
    const names = { kind: "Widget", plural: "widgets" };
    const spec = { group: "example.com", scope: "Namespaced", names, versions: [version] };
    await client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: "widgets.example.com" },
      spec,
    });
    const path = "/apis/example.com/v1/namespaces/openfaas-fn/widgets";
    const widget = (fields: object) => ({
      apiVersion: "example.com/v1",
      kind: "Widget",
      metadata: { name: "w" },
      spec: fields,
    });
    const created = await client.create(path, widget({ size: 1, extra: true }));
    expect(created.spec).toEqual({ size: 1, level: "low" });
    expect(await causes(path, widget({ mode: "c" }))).toEqual([
      "spec.size: Required value",
      expect.stringContaining("spec.mode: Unsupported value"),
    ]);
    expect(await causes(path, widget({ size: "big" }))).toEqual([expect.stringContaining("400")]);
    await client.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com");
    expect((await client.send("GET", path)).status).toBe(404);
  });

  test("a custom resource is shown with the columns of its definition", async () => {
    const column = (name: string, jsonPath: string) => ({ name, type: "string", jsonPath });
    const version = {
      name: "v1",
      served: true,
      storage: true,
      subresources: { status: {} },
      schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      additionalPrinterColumns: [
        column("Image", ".spec.image"),
        column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        column("Dotted", ".metadata.labels.a\\.b/c"),
      ],
    };
    const spec = {
      group: "example.com",
      scope: "Namespaced",
      names: { kind: "Shown", plural: "showns" },
      versions: [version],
    };
    await client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: "showns.example.com" },
      spec,
    });
    const path = "/apis/example.com/v1/namespaces/openfaas-fn/showns";
    const labels = { "a.b/c": "x" };
    await client.create(path, {
      apiVersion: "example.com/v1",
      kind: "Shown",
      metadata: { name: "w", labels },
      spec: { image: "i" },
    });
    await client.patch(`${path}/w/status`, { status: { conditions: [{ type: "Ready", status: "True" }] } });
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const { body } = await client.send("GET", path, undefined, { accept });
    expect(body.columnDefinitions.map((c: Answer) => c.name)).toEqual(["Name", "Image", "Ready", "Dotted"]);
    expect(body.rows[0].cells).toEqual(["w", "i", "True", "x"]);
    const one = await client.send("GET", `${CONFIG_MAPS}?limit=1`, undefined, { accept });
    expect(one.body.columnDefinitions.map((c: Answer) => c.name)).toEqual(["Name", "Age"]);
  });

  test("a core namespace lists what it has", async () => {
    expect((await client.get(`${CORE}`)).metadata.name).toBe("openfaas-fn");
  });
});
