import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { Backend } from "../../../provider/backends/backend.ts";
import { ROUTE_PERMISSIONS } from "../../../provider/backends/kubernetes/resources/permissions.ts";
import type { RouteObjectSettings } from "../../../provider/backends/kubernetes/resources/route-object.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { OPENFAAS_CRDS } from "../../support/kube/openfaas-crds.ts";
import { KubeServer } from "../../support/kube/server.ts";
import type { Fields } from "../../support/kube/types.ts";
import { ProviderAccount } from "./account.ts";
import { NAMESPACE, openBackend } from "./support.ts";

const FUNCTION_INGRESSES = "/apis/openfaas.com/v1/namespaces/openfaas/functioningresses";
const INGRESSES = "/apis/networking.k8s.io/v1/namespaces/openfaas/ingresses";
const HTTP_ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/openfaas/httproutes";
const ROUTES = "com.faaslane.routes";

function definition(group: string, kind: string, plural: string): Fields {
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec: open } } },
        },
      ],
    },
  };
}

let kube: KubeServer;
let client: KubeClient;
let backend: Backend | undefined;
let account: ProviderAccount;

beforeEach(async () => {
  account = new ProviderAccount();
  const grants = [
    ...account.grants,
    { namespaces: ["openfaas"], rules: [...ROUTE_PERMISSIONS.ingress, ...ROUTE_PERMISSIONS.httproute] },
  ];
  const crds = [
    ...OPENFAAS_CRDS,
    definition("openfaas.com", "FunctionIngress", "functioningresses"),
    definition("networking.k8s.io", "Ingress", "ingresses"),
    definition("gateway.networking.k8s.io", "HTTPRoute", "httproutes"),
  ];
  const { token, user } = account;
  kube = await KubeServer.open({
    account: { token, user, grants, onRefused: (message) => account.onRefused(message) },
    crds,
  });
  client = new KubeClient(kube);
});

afterEach(async () => {
  await backend?.close(0);
  await kube.close();
});

const deploy = (name: string, routes?: string) =>
  (backend as Backend).functions.create({
    service: name,
    image: "fn:1",
    namespace: NAMESPACE,
    ...(routes !== undefined && { annotations: { [ROUTES]: routes } }),
  });

const functionIngress = (name: string, spec: object) =>
  client.create(FUNCTION_INGRESSES, {
    apiVersion: "openfaas.com/v1",
    kind: "FunctionIngress",
    metadata: { name, namespace: "openfaas" },
    spec,
  });

/** What gateways are told now of the routes of a function. */
async function toldOf(name: string): Promise<string | undefined> {
  for await (const event of (backend as Backend).watch(AbortSignal.timeout(10_000))) {
    if (event.type === "heartbeat") return undefined;
    if (event.function.name === name) return event.function.annotations[ROUTES];
  }
  return undefined;
}

test("gateways learn of FunctionIngresses as of routes of the functions, and when they change and go", async () => {
  backend = openBackend(kube);
  await deploy("shop", "own.example.com");
  await deploy("plain");
  await functionIngress("shop", { domain: "shop.example.com", function: "shop", path: "/v1/(.*)" });
  await functionIngress("odd", { domain: "odd", function: "plain", path: "/v[12]" });
  await functionIngress("same", { domain: "own.example.com", function: "shop" });
  const told = async (text: string | undefined) =>
    await eventually(`shop has ${text}`, async () => (await toldOf("shop")) === text, 20_000);
  await told("own.example.com/*; shop.example.com/v1/*");
  expect(await toldOf("plain")).toBeUndefined();
  expect(backend.ingressRoutes?.()).toContainEqual({
    function: { name: "shop", namespace: NAMESPACE },
    source: "FunctionIngress shop",
    route: { host: "shop.example.com", path: "/v1" },
  });
  // The Deployment has none of it.
  expect((await backend.functions.get({ name: "shop", namespace: NAMESPACE }))?.annotations?.[ROUTES]).toBe(
    "own.example.com",
  );
  await client.patch(`${FUNCTION_INGRESSES}/shop`, { spec: { path: "/v2" } });
  await told("own.example.com/*; shop.example.com/v2/*");
  await client.delete(`${FUNCTION_INGRESSES}/shop`);
  await told("own.example.com/*");
  account.expectNothingRefused();
}, 60_000);

const settings: RouteObjectSettings = {
  kind: "ingress",
  namespace: "openfaas",
  service: "gateway",
  port: 8080,
  issuerKind: "ClusterIssuer",
  className: "nginx",
};
const objects = async (path: string): Promise<Answer[]> => (await client.get(path)).items as Answer[];

test("a route has an Ingress for as long as it is there, put right when somebody else changes it", async () => {
  backend = openBackend(kube, { routeObjects: settings });
  await deploy("shop", "shop.example.com/cart/* issuer=letsencrypt; /no-host/*");
  const [made] = await eventually(
    "it is there",
    async () => {
      const found = await objects(INGRESSES);
      return found.length === 1 ? found : undefined;
    },
    30_000,
  );
  const backendOf = { service: { name: "gateway", port: { number: 8080 } } };
  expect(made.metadata.annotations).toEqual({
    "cert-manager.io/cluster-issuer": "letsencrypt",
    "com.faaslane.function": `shop.${NAMESPACE}`,
  });
  expect(made.spec).toEqual({
    ingressClassName: "nginx",
    rules: [{ host: "shop.example.com", http: { paths: [{ path: "/cart", pathType: "Prefix", backend: backendOf }] } }],
    tls: [{ hosts: ["shop.example.com"], secretName: `${made.metadata.name}-tls` }],
  });
  await functionIngress("more", { domain: "more.example.com", function: "shop" });
  await eventually("that of a FunctionIngress too", async () => (await objects(INGRESSES)).length === 2, 30_000);
  await backend.functions.remove({ name: "shop", namespace: NAMESPACE });
  await client.delete(`${FUNCTION_INGRESSES}/more`);
  await eventually("they are gone", async () => (await objects(INGRESSES)).length === 0, 30_000);
  account.expectNothingRefused();
}, 90_000);

test("or an HTTPRoute of a Gateway; objects of others stay", async () => {
  await client.create(HTTP_ROUTES, {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "others", namespace: "openfaas" },
    spec: {},
  });
  backend = openBackend(kube, { routeObjects: { ...settings, kind: "httproute", parent: "edge/public" } });
  await deploy("shop", "*.example.com/cart");
  const found = await eventually(
    "it is there",
    async () => {
      const routes = await objects(HTTP_ROUTES);
      return routes.find(({ metadata }) => metadata.name !== "others");
    },
    30_000,
  );
  expect(found.spec).toEqual({
    parentRefs: [{ name: "public", namespace: "edge" }],
    hostnames: ["*.example.com"],
    rules: [
      {
        matches: [{ path: { type: "Exact", value: "/cart" } }],
        backendRefs: [{ name: "gateway", port: 8080 }],
      },
    ],
  });
  expect((await objects(HTTP_ROUTES)).map(({ metadata }) => metadata.name)).toContain("others");
  account.expectNothingRefused();
}, 60_000);
