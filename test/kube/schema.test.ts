import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { decode } from "../support/kube/schema/decode.ts";
import { generateTypes } from "../support/kube/schema/generate.ts";
import { TypeLibrary } from "../support/kube/schema/notation.ts";
import { testNeeding } from "../support/needing.ts";
import { ROOT } from "../support/platform.ts";

const openapi = join(ROOT, "../shared/kubernetes/openapi");
const missing = existsSync(openapi) ? undefined : "the API's OpenAPI documents are not on this machine";

testNeeding(missing)("the types are those of the API's OpenAPI documents", () => {
  const written = readFileSync(new URL("../support/kube/schema/types.json", import.meta.url), "utf8");
  expect(JSON.parse(written)).toEqual(generateTypes(openapi));
});

test("every field of every type is understood", () => {
  const written = readFileSync(new URL("../support/kube/schema/types.json", import.meta.url), "utf8");
  const library = TypeLibrary.load();
  for (const [name, fields] of Object.entries(JSON.parse(written) as Record<string, object>)) {
    for (const field of Object.keys(fields).filter((each) => each !== "=")) {
      expect([name, field, library.struct(name).field(field)?.type.kind]).toEqual([name, field, expect.any(String)]);
    }
  }
});

test("what the encoder would omit is left out, and what says something by being empty is kept", () => {
  const spec = TypeLibrary.load().struct("PodSpec");
  const { value, unknown } = decode(spec, {
    containers: [{ name: "a", image: "", args: [""], env: [{ name: "x", value: "" }], resources: {} }],
    nodeSelector: {},
    tolerations: null,
    volumes: [{ name: "v", emptyDir: {}, toString: 1 }],
  });
  expect(value).toEqual({
    containers: [{ name: "a", args: [""], env: [{ name: "x" }], resources: {} }],
    volumes: [{ name: "v", emptyDir: {} }],
  });
  expect(unknown).toEqual(["volumes[0].toString"]);
});
