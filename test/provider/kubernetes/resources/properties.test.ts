import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { FunctionDeployment } from "../../../../contract/functions.ts";
import { SCALE_DEFAULTS } from "../../../../contract/scale-policy.ts";
import { deploymentProblems } from "../../../../provider/backends/kubernetes/resources/check.ts";
import { buildDeployment } from "../../../../provider/backends/kubernetes/resources/deployment.ts";
import {
  escapeValue,
  RESERVED_VARIABLES,
  unescapeValue,
} from "../../../../provider/backends/kubernetes/resources/environment.ts";
import {
  deploymentToFunction,
  functionToDeployment,
} from "../../../../provider/backends/kubernetes/resources/function-object.ts";
import { planUpdate } from "../../../../provider/backends/kubernetes/resources/plan-update.ts";
import { readDeployment } from "../../../../provider/backends/kubernetes/resources/read-deployment.ts";
import { buildService } from "../../../../provider/backends/kubernetes/resources/service.ts";
import { readStatus } from "../../../../provider/backends/kubernetes/resources/status.ts";
import { around } from "./fixtures.ts";
import { objectProblems, readOpenApi } from "./object-schema.ts";

const definitions = readOpenApi();

const labelName = fc.stringMatching(/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?$/);
const prefix = fc.constantFrom("", "example.com/", "com.openfaas.");
const key = fc.tuple(prefix, labelName).map(([a, b]) => a + b);
const labelValue = fc.oneof(fc.constant(""), labelName);
const text = fc.string({ unit: "binary", maxLength: 20 }).filter((s) => !s.includes("\0"));
const dollars = fc.stringMatching(/^[$()A]{0,8}$/);
const variable = fc
  .stringMatching(/^[!-<>-~]{1,12}$/)
  .filter((name) => !RESERVED_VARIABLES.has(name) && name !== "port" && name !== "fprocess" && name !== "__proto__");
const cpu = fc.constantFrom("50m", "1", "0.5", "1e3m".slice(0, 3));
const memory = fc.constantFrom("64Mi", "1Gi", "128M", "1.5Gi", "1e9");
const profile = fc.subarray(["spot", "gpu", "strict"], { minLength: 1 }).map((names) => names.join(","));
const probe = fc.constantFrom(
  "health.http.initialDelaySeconds",
  "ready.http.periodSeconds",
  "ready.http.failureThreshold",
);

const sorted = <V>(map: Readonly<Record<string, V>>) =>
  Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
const some = <T extends object>(value: T | undefined) =>
  value !== undefined && Object.keys(value).length > 0 ? value : undefined;

/** Definitions as they read once they are stored: no empty fields, maps and lists in order. */
const definition = fc
  .record({
    service: fc.stringMatching(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/),
    image: fc.constantFrom("fn", "fn:1", "ghcr.io/a/b:latest", `r:5000/a@sha256:${"0".repeat(64)}`),
    envProcess: fc.option(
      text.filter((s) => s !== ""),
      { nil: undefined },
    ),
    envVars: fc.dictionary(variable, fc.oneof(text, dollars), { maxKeys: 4 }),
    constraints: fc.uniqueArray(fc.tuple(key, labelValue), { selector: ([k]) => k, maxLength: 3 }),
    secrets: fc.subarray(["api-key", "db", "registry"]),
    labels: fc.dictionary(key, labelValue, { maxKeys: 3 }),
    min: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
    annotations: fc.dictionary(key, text, { maxKeys: 3 }),
    profile: fc.option(profile, { nil: undefined }),
    probe: fc.option(probe, { nil: undefined }),
    limits: fc.record({ cpu, memory }, { requiredKeys: [] }),
    requests: fc.record({ cpu: fc.constant("10m"), memory: fc.constant("16Mi") }, { requiredKeys: [] }),
    readOnlyRootFilesystem: fc.constantFrom(true, undefined),
  })
  .map(({ min, profile, probe, constraints, labels, annotations, envVars, ...rest }) => {
    const optional = {
      ...rest,
      envVars: some(sorted(envVars)),
      constraints: some(constraints.map(([k, v]) => `${k}=${v}`).sort()),
      secrets: some([...rest.secrets].sort()),
      labels: some(sorted({ ...labels, ...(min !== undefined && { "com.openfaas.scale.min": String(min) }) })),
      annotations: some(
        sorted({
          ...annotations,
          ...(profile && { "com.openfaas.profile": profile }),
          ...(probe && { [`com.openfaas.${probe}`]: "3" }),
        }),
      ),
      limits: some(rest.limits),
      requests: some(rest.requests),
    };
    const set = Object.entries(optional).filter(([, value]) => value !== undefined);
    return { ...Object.fromEntries(set), namespace: "openfaas-fn" } as FunctionDeployment & { namespace: string };
  });

const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

test("any valid definition makes valid objects", async () => {
  await fc.assert(
    fc.asyncProperty(definition, async (request) => {
      expect(deploymentProblems(request, around())).toEqual([]);
      expect(await objectProblems(buildDeployment(request, around()), definitions)).toEqual([]);
      expect(await objectProblems(buildService(request), definitions)).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

test("what is built reads back as it was", () => {
  // Resources that profiles add are read as the function's own, so those are left out here.
  const resolved = definition.filter(({ annotations }) => !annotations?.["com.openfaas.profile"]);
  fc.assert(
    fc.property(resolved, (request) => {
      const built = buildDeployment(request, around({ announce: { url: "http://p", token: "t" } }));
      expect(plain(readDeployment(built))).toEqual(plain(request));
      const { name, namespace, image, envVars, secrets, constraints } = readStatus(built);
      expect({ service: name, namespace, image, envVars, secrets, constraints }).toMatchObject({
        service: request.service,
        namespace: request.namespace,
        image: request.image,
        envVars: request.envVars,
        secrets: request.secrets,
        constraints: request.constraints,
      });
    }),
    { numRuns: 200 },
  );
});

test("a Function says what the deploy said, and the other way round", () => {
  fc.assert(
    fc.property(definition, (request) => {
      expect(plain(functionToDeployment(deploymentToFunction(request)))).toEqual(plain(request));
    }),
  );
});

test("the same definition changes nothing, another one does", () => {
  fc.assert(
    fc.property(definition, definition, (one, other) => {
      const options = { deploying: false, scaleDefaults: SCALE_DEFAULTS };
      const stored = plain(buildDeployment(one, around())) as ReturnType<typeof buildDeployment>;
      expect(planUpdate(stored, buildDeployment(one, around()), one, options).kind).toBe("unchanged");
      if (JSON.stringify(one) === JSON.stringify(other)) return;
      expect(planUpdate(stored, buildDeployment(other, around()), other, options).kind).toBe("apply");
    }),
  );
});

/** What the kubelet makes of a value: `$$` is a dollar, `$(NAME)` a variable's value, anything else stays. */
function expand(value: string, variables: Readonly<Record<string, string>>): string {
  return value.replace(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) =>
    match === "$$" ? "$" : (variables[name ?? ""] ?? match),
  );
}

test("a function sees its variables as they were deployed", () => {
  fc.assert(
    fc.property(fc.oneof(dollars, text), (value) => {
      expect(expand(escapeValue(value), { A: "expanded", "": "expanded" })).toBe(value);
      expect(unescapeValue(escapeValue(value))).toBe(value);
    }),
    { numRuns: 1000 },
  );
});
