import { expect, test } from "@jest/globals";
import { type Env, readEnv } from "../../../../kit/env.ts";
import { readKubernetesSettings } from "../../../../provider/backends/kubernetes/resources/read-settings.ts";
import { DEFAULT_SETTINGS } from "../../../../provider/backends/kubernetes/resources/settings.ts";

const read = (env: Env) => readEnv(env, readKubernetesSettings);

test("nothing has to be set", () => {
  expect(read({ image_pull_policy: "", announce_url: "" })).toEqual({
    resources: DEFAULT_SETTINGS,
    clusterRole: false,
    profilesNamespace: "openfaas",
    announcePort: 8084,
    imageDigests: "versions",
    operator: { leaseDurationMs: 15_000 },
  });
});

test("the operator can be off, and its lease is in whole seconds", () => {
  expect(read({ operator: "false" })).not.toHaveProperty("operator");
  expect(read({ operator_lease_duration: "3s" }).operator).toEqual({ leaseDurationMs: 3_000 });
  for (const wrong of ["0", "500ms", "1500ms"]) {
    expect(() => read({ operator_lease_duration: wrong })).toThrow(/operator_lease_duration: must be at least 1s/);
  }
});

test("what is set has the names of faas-netes", () => {
  const settings = read({
    http_probe: "false",
    set_nonroot_user: "false",
    image_pull_policy: "Never",
    readiness_probe_initial_delay_seconds: "3",
    readiness_probe_success_threshold: "2",
    liveness_probe_period_seconds: "7",
    max_replicas: "20",
    cluster_role: "true",
    profiles_namespace: "core",
    announce_url: "http://provider:8090",
    announce_port: "8090",
  });
  expect(settings).toMatchObject({
    resources: {
      httpProbe: false,
      nonRoot: false,
      imagePullPolicy: "Never",
      readiness: { initialDelaySeconds: 3, periodSeconds: 2, successThreshold: 2 },
      liveness: { periodSeconds: 7, successThreshold: 1 },
      maxReplicas: 20,
    },
    clusterRole: true,
    profilesNamespace: "core",
  });
  expect(settings.announceUrl?.href).toBe("http://provider:8090/");
  expect(settings.announcePort).toBe(8090);
});

test("all that is wrong is said at once", () => {
  const wrong = {
    http_probe: "yes",
    image_pull_policy: "Sometimes",
    readiness_probe_period_seconds: "0",
    max_replicas: "many",
    announce_url: "provider",
  };
  expect(() => read(wrong)).toThrow(
    [
      "bad settings:",
      "  image_pull_policy: must be one of Always, IfNotPresent, Never",
      "  announce_url: must be an http or https URL",
      "  http_probe: must be true or false",
      "  readiness_probe_period_seconds: must be a whole number of at least 1",
      "  max_replicas: must be a whole number of at least 1",
    ].join("\n"),
  );
});

test("replicas announce themselves without TLS, as a proxy would hide their address", () => {
  expect(() => read({ announce_url: "https://provider:8084/" })).toThrow("announce_url: must be an http URL");
});
