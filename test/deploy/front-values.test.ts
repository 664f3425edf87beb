import { expect, test } from "@jest/globals";
import type { KubernetesObject, Values } from "../../deploy/render/render-chart.ts";
import { type GatewayConfig, loadGatewayConfig } from "../../gateway/process/config.ts";
import { loadQueueWorkerConfig } from "../../gateway/process/queue-worker/config.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import { find, render } from "./chart-support.ts";

/* Values for what is in front of the gateway, and for what its clients may do. */

interface Pod {
  readonly containers: readonly {
    readonly env: readonly { readonly name: string; readonly value: string }[];
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
  readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
}

function podOf(values: Values, deployment: string): Pod {
  const { spec } = find(render(values).objects, "Deployment", deployment) as KubernetesObject & {
    spec: { template: { spec: Pod } };
  };
  return spec.template.spec;
}

const envOf = ({ containers }: Pod) =>
  Object.fromEntries((containers[0]?.env ?? []).map(({ name, value }) => [name, value]));

const gateway = (values: Values = {}) => loadGatewayConfig(envOf(podOf({ gateway: values }, "gateway")));

test.each<[value: string, given: Values, expected: Partial<GatewayConfig>]>([
  ["upgradeIdleTimeout", { upgradeIdleTimeout: "1h" }, { upgradeIdleMs: 3_600_000 }],
  ["maxUpgrades", { maxUpgrades: "300" }, { maxUpgrades: 300 }],
  ["maxUpgrades, none at all", { maxUpgrades: 0 }, { maxUpgrades: 0 }],
  ["drainDelay", { drainDelay: 20 }, { drainDelayMs: 20_000 }],
  ["http2", { http2: false }, { http2: false }],
  ["basePath", { basePath: "/faas" }, { pathPrefix: "/faas" }],
  ["allowedHosts", { allowedHosts: ["a.test", "*.b.test"] }, { allowedHosts: ["a.test", "*.b.test"] }],
])("gateway.%s is the gateway's setting, and its own default unless it is set", (_value, given, expected) => {
  const plain = gateway();
  const names = Object.keys(expected) as (keyof GatewayConfig)[];
  expect(gateway(given)).toMatchObject(expected);
  const bare = loadGatewayConfig({});
  for (const name of names) expect([name, plain[name]]).toEqual([name, bare[name]]);
});

test("proxies in front are those of the list, with or without a header before HTTP", () => {
  const { front } = gateway({ trustedProxies: ["10.0.0.0/8", "fd00::/8"], proxyProtocol: true });
  expect(front).toMatchObject({ trustedProxies: ["10.0.0.0/8", "fd00::/8"], proxyProtocol: true });
  expect(gateway().front).toMatchObject({ trustedProxies: [], proxyProtocol: false, certificates: [] });
});

test("certificates are files of Secrets, in the same order as their keys", () => {
  const pod = podOf({ gateway: { tls: { secretNames: ["b-tls", "a-tls"] } } }, "gateway");
  expect(loadGatewayConfig(envOf(pod)).front.certificates).toEqual([
    { certFile: "/var/tls/b-tls/tls.crt", keyFile: "/var/tls/b-tls/tls.key" },
    { certFile: "/var/tls/a-tls/tls.crt", keyFile: "/var/tls/a-tls/tls.key" },
  ]);
  for (const name of ["a-tls", "b-tls"]) {
    expect(pod.volumes).toContainEqual({ name: `tls-${name}`, secret: { secretName: name } });
    const mount = { name: `tls-${name}`, mountPath: `/var/tls/${name}`, readOnly: true };
    expect(pod.containers[0]?.volumeMounts).toContainEqual(mount);
  }
});

test.each<[what: string, tls: Values, url: string, ca: string | undefined]>([
  ["plain HTTP", {}, "http:", undefined],
  ["TLS with a certificate of a public authority", { secretNames: ["a"] }, "https:", undefined],
  ["TLS with one of their own", { secretNames: ["a"], caSecretName: "own" }, "https:", "/var/gateway-ca/ca.crt"],
])("queue workers call the gateway by %s", (_what, tls, protocol, ca) => {
  const pod = podOf({ queue: { kind: "jetstream" }, gateway: { tls } }, "queue-worker");
  const env = envOf(pod);
  const { gatewayUrl } = loadQueueWorkerConfig(env);
  expect(gatewayUrl).toMatchObject({ protocol, hostname: "gateway.openfaas.svc.cluster.local", port: "8080" });
  expect(env.NODE_EXTRA_CA_CERTS).toBe(ca);
  if (ca) expect(pod.volumes).toContainEqual({ name: "gateway-ca", secret: { secretName: "own" } });
});

test("gateway and provider agree on passwords that were, and on how functions are scaled", () => {
  const values = { passwordOverlap: "5m", functions: { defaultTarget: 20, defaultMaxReplicas: 10 } };
  const [ours, theirs] = [envOf(podOf(values, "gateway")), envOf(podOf(values, "gateway-provider"))];
  expect(loadGatewayConfig(ours).passwordOverlapMs).toBe(300_000);
  expect(loadProviderConfig(theirs).passwordOverlapMs).toBe(300_000);
  for (const env of [ours, theirs]) expect(env).toMatchObject({ default_target: "20", default_max_replicas: "10" });
});

test("upgraded connections through the provider have limits of their own", () => {
  const provider = (values: Values) => loadProviderConfig(envOf(podOf({ provider: values }, "gateway-provider")));
  expect(provider({ upgradeIdleTimeout: "30s", maxUpgrades: 0 })).toMatchObject({
    upgradeIdleMs: 30_000,
    maxUpgrades: 0,
  });
  expect(provider({}).maxUpgrades).toBeUndefined();
});
