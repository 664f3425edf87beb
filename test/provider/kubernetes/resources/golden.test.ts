import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import type { V1Deployment } from "@kubernetes/client-node";
import { checkDeployment } from "../../../../provider/backends/kubernetes/resources/check.ts";
import {
  buildDeployment,
  initialReplicas,
  withReplicas,
} from "../../../../provider/backends/kubernetes/resources/deployment.ts";
import { buildService } from "../../../../provider/backends/kubernetes/resources/service.ts";
import { testNeeding } from "../../../support/needing.ts";
import { around, CASES } from "./fixtures.ts";
import { noOpenApi, objectProblems, readOpenApi } from "./object-schema.ts";

const definitions = readOpenApi();

const built = Object.entries(CASES).map(([name, { request, around: surroundings = around() }]) => {
  const bare = buildDeployment(request, surroundings);
  const deployment = withReplicas(bare, initialReplicas(request, around().settings));
  return { name, request, surroundings, objects: [deployment, buildService(request, surroundings.owner)] };
});

/** `UPDATE_GOLDEN=1 npm test -- <this file>` writes them anew, for a person to compare. */
test.each(built)("$name: the objects are those that were reviewed", ({ name, objects }) => {
  const path = fileURLToPath(new URL(`golden/${name}.json`, import.meta.url));
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(path, `${JSON.stringify(objects, null, 2)}\n`);
  expect(existsSync(path)).toBe(true);
  expect(JSON.parse(JSON.stringify(objects))).toEqual(JSON.parse(readFileSync(path, "utf8")));
});

test.each(built)("$name: the API server's schemas allow the objects", async ({ request, surroundings, objects }) => {
  checkDeployment(request, surroundings);
  for (const object of objects) expect(await objectProblems(object, definitions)).toEqual([]);
});

test("the schemas are looked at: a wrong object has problems", async () => {
  const { objects } = built[0] as (typeof built)[0];
  const [deployment] = objects as [V1Deployment, ...unknown[]];
  const wrongType = { ...deployment, spec: { ...deployment.spec, replicas: "many" } };
  expect(await objectProblems(wrongType, definitions)).not.toEqual([]);
});

testNeeding(noOpenApi)("the schemas are looked at: an unknown field is a problem", async () => {
  const { objects } = built[0] as (typeof built)[0];
  const [deployment] = objects as [V1Deployment, ...unknown[]];
  const unknownField = { ...deployment, spec: { ...deployment.spec, replica: 1 } };
  expect(await objectProblems(unknownField, definitions)).toEqual([".spec.replica: is unknown"]);
});
