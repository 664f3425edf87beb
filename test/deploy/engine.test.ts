import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect } from "@jest/globals";
import { parseAllDocuments, stringify } from "yaml";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { CHART, RELEASE, render, VARIANTS, withoutRandom } from "./chart-support.ts";

/** Where Debian puts the Go libraries that Helm is made of. */
const GO_LIBRARIES = "/usr/share/gocode";
const LIBRARIES = ["github.com/Masterminds/sprig", "sigs.k8s.io/yaml"];

const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;

type Engine = (valuesFile: string) => readonly [program: string, ...args: string[]];

let folder = "";
const engine = findEngine();

function findEngine(): Engine | undefined {
  if (has("helm", "version")) {
    const { name, namespace } = RELEASE;
    return (values) => ["helm", "template", name, CHART, "-n", namespace, "-f", values];
  }
  if (has("go", "version") && LIBRARIES.every((library) => existsSync(join(GO_LIBRARIES, "src", library)))) {
    return (values) => [join(folder, "engine"), CHART, values, RELEASE.namespace];
  }
  return undefined;
}

const missing = engine ? undefined : "neither helm nor Go with sprig and yaml is on this machine";
const testWithEngine = testNeeding(unlessRequired(missing));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "faaslane-engine-"));
  if (!engine || engine("")[0] === "helm") return;
  const source = fileURLToPath(new URL("engine/main.go", import.meta.url));
  const env = { ...process.env, GO111MODULE: "off", GOPATH: GO_LIBRARIES, GOFLAGS: "" };
  const built = spawnSync("go", ["build", "-o", join(folder, "engine"), source], { env, encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

testWithEngine.each(Object.entries(VARIANTS))("Helm's own engine renders the same: %s", (_name, values) => {
  if (!engine) return;
  const file = join(folder, "values.yaml");
  writeFileSync(file, stringify(withoutRandom(values)));
  const [program, ...args] = engine(file);
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 16 * 1024 * 1024 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const byId = (objects: readonly unknown[]) =>
    Object.fromEntries(
      (objects as { kind: string; metadata: { name: string; namespace?: string } }[]).map((object) => [
        `${object.kind} ${object.metadata.namespace ?? ""} ${object.metadata.name}`,
        object,
      ]),
    );
  const theirs = parseAllDocuments(stdout).flatMap((document) => (document.toJS() as object | null) ?? []);
  expect(byId(render(values).objects)).toEqual(byId(theirs));
});
