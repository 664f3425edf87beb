import { describe, expect, test } from "@jest/globals";
import type { KubernetesObject } from "../../deploy/render/render-chart.ts";
import { PLATFORM_ACCOUNT } from "../../provider/backends/kubernetes/resources/names.ts";
import {
  ALL_NAMESPACES,
  BUILD_NAMESPACE,
  CORE_NAMESPACE,
  FUNCTION_NAMESPACE,
  ONE_NAMESPACE,
  type Permission,
  ROUTE_PERMISSIONS,
} from "../../provider/backends/kubernetes/resources/permissions.ts";
import { find, render } from "./chart-support.ts";

describe("permissions", () => {
  type Rule = { apiGroups: string[]; resources: string[]; verbs: string[] };
  const granted = ({ rules }: KubernetesObject) =>
    (rules as Rule[]).flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    );
  const needed = (...lists: (readonly Permission[])[]) =>
    lists.flat().flatMap(({ group, resource, verbs }) => verbs.map((verb) => `${verb} ${group}/${resource}`));

  test("in one namespace are exactly those that the provider needs", () => {
    const { objects } = render({});
    const role = find(objects, "Role", "faaslane-provider");
    expect(role.metadata.namespace).toBe("openfaas-fn");
    expect(granted(role).sort()).toEqual(needed(FUNCTION_NAMESPACE, ONE_NAMESPACE).sort());
    expect(granted(find(objects, "Role", "faaslane-provider-core")).sort()).toEqual(needed(CORE_NAMESPACE).sort());
    expect(objects.some(({ kind }) => kind.startsWith("ClusterRole"))).toBe(false);
  });

  test("in all namespaces are exactly those that the provider needs", () => {
    const { objects } = render({ clusterRole: true });
    const role = find(objects, "ClusterRole", "faaslane-provider");
    expect(granted(role).sort()).toEqual(needed(FUNCTION_NAMESPACE, ALL_NAMESPACES).sort());
    expect(granted(find(objects, "Role", "faaslane-provider-core")).sort()).toEqual(needed(CORE_NAMESPACE).sort());
  });

  test("for builds in pods are in a namespace of those alone", () => {
    const { objects } = render({ registry: { enabled: true }, buildPods: { enabled: true } });
    const role = find(objects, "Role", "faaslane-provider-builds");
    expect(role.metadata.namespace).toBe("openfaas-builds");
    expect(granted(role).sort()).toEqual(needed(BUILD_NAMESPACE).sort());
    expect(() => render({ buildPods: { enabled: true } })).toThrow("registry.enabled");
  });

  test.each(["ingress", "httproute"] as const)("with an %s for each route are those for it too", (kind) => {
    const { objects } = render({ routes: { objects: kind, gateway: "edge/public" } });
    const core = granted(find(objects, "Role", "faaslane-provider-core"));
    expect(core.sort()).toEqual(needed(CORE_NAMESPACE, ROUTE_PERMISSIONS[kind]).sort());
    const container = JSON.stringify(find(objects, "Deployment", "gateway-provider"));
    expect(container).toContain(`{"name":"route_objects","value":"${kind}"}`);
    expect(container).toContain(`{"name":"route_gateway","value":"edge/public"}`);
    // It can be reached from outside then, so callbacks do not lead to private addresses.
    const gateway = (values: Parameters<typeof render>[0]) =>
      JSON.stringify(find(render(values).objects, "Deployment", "gateway"));
    expect(gateway({})).toContain(`{"name":"callback_private","value":"true"}`);
    expect(gateway({ routes: { objects: kind, gateway: "edge/public" } })).toContain(
      `{"name":"callback_private","value":"false"}`,
    );
  });

  test("are bound to the account of the provider, which alone has a token", () => {
    const { objects } = render({ queue: { kind: "jetstream" } });
    for (const binding of objects.filter(({ kind }) => kind.endsWith("Binding"))) {
      expect(binding.subjects).toEqual([{ kind: "ServiceAccount", name: PLATFORM_ACCOUNT, namespace: "openfaas" }]);
      const { kind, name } = binding.roleRef as { kind: string; name: string };
      find(objects, kind, name);
    }
    const workloads = objects.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
    const withToken = workloads.filter((o) => JSON.stringify(o).includes('"automountServiceAccountToken":true'));
    expect(withToken.map((o) => o.metadata.name)).toEqual(["gateway-provider"]);
  });

  describe("of sources of events that look at the cluster", () => {
    const rules = [{ apiGroups: ["", "apps"], resources: ["pods", "deployments"] }];
    const account = (objects: readonly KubernetesObject[], name: string) => {
      const { spec } = find(objects, "Deployment", name) as unknown as {
        spec: { template: { spec: { serviceAccountName?: string; automountServiceAccountToken: boolean } } };
      };
      const { serviceAccountName = "", automountServiceAccountToken } = spec.template.spec;
      return [serviceAccountName, automountServiceAccountToken];
    };
    const none = ["", false];
    const ours = ["faaslane-events", true];

    test("are none by themselves", () => {
      const { objects } = render({ queue: { kind: "jetstream" } });
      expect([account(objects, "event-worker"), account(objects, "gateway")]).toEqual([none, none]);
      expect(objects.filter(({ metadata }) => metadata.name.endsWith("-events"))).toEqual([]);
    });

    test("are to list and watch what was named, in the whole cluster, and of the process that runs sources", () => {
      const { objects } = render({ events: { kubernetesSource: { rules } }, queue: { kind: "jetstream" } });
      expect([account(objects, "event-worker"), account(objects, "gateway")]).toEqual([ours, none]);
      const role = find(objects, "ClusterRole", "faaslane-events");
      expect([...new Set(granted(role).map((each) => each.split(" ")[0]))]).toEqual(["list", "watch"]);
      expect(granted(role)).toContain("watch apps/deployments");
      const { subjects } = find(objects, "ClusterRoleBinding", "faaslane-events");
      expect(subjects).toEqual([{ kind: "ServiceAccount", name: "faaslane-events", namespace: "openfaas" }]);
      find(objects, "ServiceAccount", "faaslane-events");
    });

    test("are in the namespaces that were named, and of the gateway where there is no worker", () => {
      const kubernetesSource = { rules, namespaces: ["shop", "openfaas-fn"] };
      const { objects } = render({ events: { kubernetesSource } });
      expect(account(objects, "gateway")).toEqual(ours);
      const roles = objects.filter(({ kind, metadata }) => kind === "Role" && metadata.name === "faaslane-events");
      expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(["shop", "openfaas-fn"]);
      expect(objects.some(({ kind }) => kind.startsWith("ClusterRole"))).toBe(false);
      const bindings = objects.filter(
        ({ kind, metadata }) => kind === "RoleBinding" && metadata.name === "faaslane-events",
      );
      expect(bindings).toHaveLength(2);
    });

    test("are none where there are no events", () => {
      const { objects } = render({ events: { enabled: false, kubernetesSource: { rules } } });
      expect(account(objects, "gateway")).toEqual(none);
      expect(objects.some(({ metadata }) => metadata.name === "faaslane-events")).toBe(false);
    });
  });
});
