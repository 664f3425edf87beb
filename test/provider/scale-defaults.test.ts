import { expect, test } from "@jest/globals";
import { parseScalePolicy } from "../../contract/scale-policy.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { deploymentProblems } from "../../provider/backends/kubernetes/resources/check.ts";
import { initialReplicas } from "../../provider/backends/kubernetes/resources/deployment.ts";
import { readScaleBounds, scaleProblems } from "../../provider/backends/scale-labels.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import { around, deployment } from "./kubernetes/resources/fixtures.ts";

const INITIAL = "com.faaslane.scale.initial";

test.each<[defaultMax: string | undefined, initial: string, problems: readonly string[]]>([
  ["50", "30", []],
  ["5", "10", [`${INITIAL}: "10" must not be above com.openfaas.scale.max: 5`]],
  [undefined, "20", []],
  [undefined, "30", [`${INITIAL}: "30" must not be above com.openfaas.scale.max: 20`]],
])("with default_max_replicas=%s gateway and both backends judge initial=%s alike", (defaultMax, initial, problems) => {
  const env = { basic_auth: "false", ...(defaultMax !== undefined && { default_max_replicas: defaultMax }) };
  const labels = { [INITIAL]: initial };
  const gateway = loadGatewayConfig({ ...env, functions_provider_url: "http://127.0.0.1:8081/" });
  const settings = loadProviderConfig(env).kubernetes.resources;
  const ofGateway = parseScalePolicy(labels, {}, gateway.scaling.defaults);
  const request = deployment({ labels });

  expect(ofGateway.problems).toEqual(problems);
  expect(scaleProblems({ labels }, settings)).toEqual(problems);
  expect(deploymentProblems(request, around({ settings }))).toEqual(problems);
  expect(readScaleBounds({ labels }, settings).initial).toBe(ofGateway.policy.initial);
  expect(initialReplicas(request, settings)).toBe(ofGateway.policy.initial);
});

test("both sides read the same defaults", () => {
  const env = { basic_auth: "false", default_max_replicas: "7", default_target: "3" };
  const gateway = loadGatewayConfig({ ...env, functions_provider_url: "http://127.0.0.1:8081/" });
  expect(loadProviderConfig(env).kubernetes.resources.scaleDefaults).toEqual({ max: 7, target: 3 });
  expect(gateway.scaling.defaults).toEqual({ max: 7, target: 3 });
});
