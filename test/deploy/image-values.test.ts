import { describe, expect, test } from "@jest/globals";
import { loadBuilderConfig } from "../../builder/config.ts";
import type { KubernetesObject } from "../../deploy/render/render-chart.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import { loadRegistryConfig } from "../../registry/config.ts";
import { find, render } from "./chart-support.ts";
import { mayReach, podOf } from "./network.ts";
import { podSpecOf } from "./pod.ts";

/** A registry and a builder, as the chart installs them. */
const { objects } = render({ registry: { enabled: true }, builder: { enabled: true } });
const registry = find(objects, "StatefulSet", "registry");
const builder = find(objects, "Deployment", "builder");

/** The variables of a workload's container, and which of them nobody has looked at. */
function environmentOf(workload: KubernetesObject) {
  const list = podSpecOf(workload).containers[0]?.env ?? [];
  const read = new Set<string>();
  const env = new Proxy(Object.fromEntries(list.map(({ name, value }) => [name, value])), {
    get: (target, name) => {
      read.add(String(name));
      return target[String(name)];
    },
  });
  return { env, unread: () => list.map(({ name }) => name).filter((name) => !read.has(name)) };
}

test("the registry and the builder read every variable that they are given, and take it", () => {
  const ofRegistry = environmentOf(registry);
  expect(loadRegistryConfig(ofRegistry.env)).toMatchObject({ port: 5000, bindAddress: "0.0.0.0", anonymousPull: true });
  expect(ofRegistry.unread()).toEqual([]);
  const ofBuilder = environmentOf(builder);
  const { images, port, secretMountPath } = loadBuilderConfig(ofBuilder.env);
  expect(ofBuilder.unread()).toEqual([]);
  expect([port, secretMountPath]).toEqual([8080, "/var/secrets"]);
  // Nodes and the builder reach the same registry, each by a name of its own.
  expect(images).toMatchObject({ registry: "localhost:31500", configFile: "/var/registry/config.json" });
  expect(images.registryUrl?.host).toBe("registry.openfaas.svc.cluster.local:5000");
  const { ports } = find(objects, "Service", "registry").spec as { ports: { port: number; nodePort: number }[] };
  expect(ports).toMatchObject([{ port: 5000, nodePort: 31500 }]);
});

test("the provider has the builder build, and signs what it sends", () => {
  const provider = find(objects, "Deployment", "gateway-provider");
  const { builderUrl, secretMountPath } = loadProviderConfig(environmentOf(provider).env);
  expect(builderUrl?.href).toBe("http://builder.openfaas.svc.cluster.local:8080/");
  expect(secretMountPath).toBe("/var/secrets");
  expect(JSON.stringify(provider)).toContain('"secret":{"name":"payload-secret"}');
});

test("the builder has no rights and no password of the platform", () => {
  const text = JSON.stringify(builder);
  expect(text).toContain('"automountServiceAccountToken":false');
  expect(text).not.toContain("basic-auth");
  expect(text).not.toContain("serviceAccountName");
});

describe("with policies", () => {
  const peers = {
    builder: podOf(objects, "builder"),
    registry: podOf(objects, "registry"),
    provider: podOf(objects, "gateway-provider"),
    gateway: podOf(objects, "gateway"),
    stranger: { namespace: "shop", labels: { app: "x" } },
  };
  test.each<[from: keyof typeof peers, to: keyof typeof peers, port: number, may: boolean]>([
    ["provider", "builder", 8080, true],
    ["builder", "registry", 5000, true],
    ["stranger", "registry", 5000, true], // by its password
    ["stranger", "builder", 8080, false],
    ["gateway", "builder", 8080, false],
    ["builder", "provider", 8081, false],
    ["builder", "gateway", 8080, false],
    ["registry", "builder", 8080, false],
  ])("%s to %s at %i: %p", (from, to, port, may) => {
    expect(mayReach(objects, peers[from], peers[to], port)).toBe(may);
  });
});

test("a builder without a registry is refused", () => {
  expect(() => render({ builder: { enabled: true } })).toThrow(/builder\.registry: name the registry/);
});
