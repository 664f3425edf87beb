import { expect, test } from "@jest/globals";
import type { V1Pod } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import { ApiError } from "../../../provider/backends/kubernetes/client/api-error.ts";
import type { KubernetesClient } from "../../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { writeDeletionCosts } from "../../../provider/backends/kubernetes/pods/deletion-costs.ts";
import { decideDeletionCosts } from "../../../provider/backends/kubernetes/resources/deletion-cost.ts";
import { DELETION_COST } from "../../../provider/backends/kubernetes/resources/names.ts";
import { trimPod } from "../../../provider/backends/kubernetes/resources/trim.ts";

const pod = (n: number, { cost, leaving = false }: { cost?: string; leaving?: boolean } = {}): V1Pod =>
  trimPod({
    metadata: {
      name: `p${n}`,
      ...(leaving && { deletionTimestamp: new Date() }),
      annotations: { other: "kept by nobody", ...(cost !== undefined && { [DELETION_COST]: cost }) },
    },
    status: { phase: "Running", podIP: `10.0.0.${n}`, conditions: [{ type: "Ready", status: "True" }] },
  });

test.each([
  ["a busy pod gets its calls", [pod(1), pod(2)], { "10.0.0.2:8080": 3 }, [{ pod: "p2", cost: "3" }]],
  ["one that has them already is left alone", [pod(1, { cost: "3" })], { "10.0.0.1:8080": 3 }, []],
  ["one that was busy before is not any more", [pod(1, { cost: "3" })], {}, [{ pod: "p1", cost: "0" }]],
  ["one that goes anyway is left alone", [pod(1, { leaving: true })], { "10.0.0.1:8080": 3 }, []],
  ["one without an address has no calls", [{ metadata: { name: "p1" } }], { "10.0.0.1:8080": 3 }, []],
  ["Kubernetes has a largest number", [pod(1)], { "10.0.0.1:8080": 1e12 }, [{ pod: "p1", cost: "2147483647" }]],
])("deletion costs: %s", (_rule, pods, inFlight, expected) => {
  expect(decideDeletionCosts(pods, inFlight)).toEqual(expected);
});

const many = Array.from({ length: 50 }, (_, n) => pod(n + 1));
const busy = Object.fromEntries(many.map(({ status }, n) => [`${status?.podIP}:8080`, n + 1]));
const ref = { name: "fn", namespace: "ns" };

test("costs are written for all, a few at a time", async () => {
  const written: string[] = [];
  let open = 0;
  let most = 0;
  const mergePatch = async (path: string) => {
    open += 1;
    most = Math.max(most, open);
    await new Promise(setImmediate);
    open -= 1;
    written.push(path);
  };
  const warned: unknown[] = [];
  const log = { warn: (facts: unknown) => void warned.push(facts) };
  await writeDeletionCosts(ref, many, busy, { client: { mergePatch } as unknown as KubernetesClient, log });
  expect(new Set(written).size).toBe(50);
  expect(written[0]).toMatch(/^\/api\/v1\/namespaces\/ns\/pods\/p\d+$/);
  expect(most).toBe(8);
  expect(warned).toEqual([]);
});

test("failures are told once, and a pod that is gone is none", async () => {
  const warned: unknown[] = [];
  const log = { warn: (facts: unknown) => void warned.push(facts) };
  const refusal = new FaasError("unavailable", "not now");
  const gone = new ApiError("notFound", { status: 404, reason: "NotFound", message: "", retryAfterMs: undefined });
  const mergePatch = async (path: string) => {
    if (path.endsWith("/p7") || path.endsWith("/p8")) throw refusal;
    if (path.endsWith("/p9")) throw gone;
  };
  await writeDeletionCosts(ref, many, busy, { client: { mergePatch } as unknown as KubernetesClient, log });
  expect(warned).toEqual([{ function: "fn", namespace: "ns", failed: 2, err: refusal }]);
});
