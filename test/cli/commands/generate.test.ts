import { describe, expect, test } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { compareFunction } from "../../../cli/diff/compare.ts";
import { deploymentToFunction } from "../../../provider/backends/kubernetes/resources/function-object.ts";
import { json, jsonOf } from "../support/fake-gateway.ts";
import { accepted, FILES, openScene, STACK } from "../support/scene.ts";

const ODD = [
  "on",
  "0755",
  "1.10",
  "1_000",
  "12:30:45",
  "2001-01-01",
  "~",
  "null",
  "0x1F",
  "y",
  "=",
  "- a",
  "a: b",
  "'",
  "",
];
const stackWith = (fields: string) =>
  `version: 1.0\nprovider: {name: openfaas}\nfunctions:\n  f:\n    image: i\n${fields}`;

describe("generate", () => {
  test("prints a Function for each function, by name, that comes to what a deploy would", async () => {
    await using scene = await openScene(accepted, { ...FILES, "stack.yml": STACK.replace("second:", "a-second:") });
    const { code, stdout, stderr } = await scene.run("generate");
    expect({ code, stderr, asked: scene.asked() }).toEqual({ code: 0, stderr: "", asked: [] });
    expect(stdout).toMatch(
      /^---\napiVersion: openfaas\.com\/v1\nkind: Function\nmetadata:\n {2}name: a-second\n {2}namespace: openfaas-fn\n/,
    );
    const objects = parseAllDocuments(stdout).map((document) => document.toJS() as { metadata: object; spec: object });
    await scene.run("deploy");
    const deployed = scene.gateway.seen.map(jsonOf) as { service: string; namespace?: string; image: string }[];
    const expected = deployed.reverse().map((body) => deploymentToFunction({ namespace: "openfaas-fn", ...body }));
    expect(objects.map(({ spec }) => spec)).toEqual(expected.map(({ spec }) => spec));
    expect(objects.map(({ metadata }) => metadata)).toEqual([
      { name: "a-second", namespace: "openfaas-fn" },
      { name: "hello", namespace: "dev" },
    ]);
  });

  test("text stays text for parsers of every age", async () => {
    const environment = Object.fromEntries(ODD.map((text, index) => [`V${index}`, text]));
    await using scene = await openScene(accepted, {
      "stack.yml": stackWith(`    environment: ${JSON.stringify(environment)}\n`),
    });
    const { stdout } = await scene.run("generate");
    for (const version of ["1.1", "1.2"] as const) {
      const [document] = parseAllDocuments(stdout, { version });
      expect(document?.toJS()).toMatchObject({ spec: { environment } });
    }
  });

  test("prints services for Knative, with secrets as files", async () => {
    const fields = "    environment: {B: x, A: y}\n    secrets: [key]\n    annotations: {n: v}\n    labels: {l: v}\n";
    await using scene = await openScene(accepted, { "stack.yml": stackWith(fields) });
    const { stdout } = await scene.run("generate --api serving.knative.dev/v1 -n prod --annotation more=1");
    expect(parseAllDocuments(stdout).map((document) => document.toJS())).toEqual([
      {
        apiVersion: "serving.knative.dev/v1",
        kind: "Service",
        metadata: { name: "f", namespace: "prod", annotations: { more: "1", n: "v" } },
        spec: {
          template: {
            spec: {
              containers: [
                {
                  image: "i:latest",
                  env: [
                    { name: "A", value: "y" },
                    { name: "B", value: "x" },
                  ],
                  volumeMounts: [{ name: "key", mountPath: "/var/openfaas/secrets/key", readOnly: true }],
                },
              ],
              volumes: [{ name: "key", secret: { secretName: "key" } }],
            },
          },
        },
      },
    ]);
  });

  test.each([
    ["--api v2", 'Error: --api must be one of openfaas.com/v1, serving.knative.dev/v1, not "v2"\n'],
    ["--filter x", 'Error: no function of the stack file matches --filter "x"\n'],
  ])("%s is an error", async (flags, stderr) => {
    await using scene = await openScene(accepted);
    expect(await scene.run(`generate ${flags}`)).toEqual({ code: 1, stdout: "", stderr });
  });

  test("prints a function of a store, with what flags add", async () => {
    const store = {
      version: "0.2.0",
      functions: [
        {
          name: "figlet",
          title: "Figlet",
          description: "d",
          repo_url: "https://example.com",
          fprocess: "figlet",
          images: { x86_64: "reg/figlet:1", arm64: "reg/figlet:1-arm64" },
          environment: { A: "b" },
          labels: { l: "store" },
          readOnlyRootFilesystem: true,
        },
      ],
    };
    await using scene = await openScene(accepted, { "store.json": JSON.stringify(store) });
    const from = "generate --from-store figlet --url store.json";
    const { stdout, stderr } = await scene.run(`${from} --name banner --arch arm64 --label l=flag --annotation n=1`);
    expect(stderr).toBe("");
    expect(parseAllDocuments(stdout).map((document) => document.toJS())).toMatchObject([
      {
        metadata: { name: "banner" },
        spec: {
          name: "banner",
          image: "reg/figlet:1-arm64",
          environment: { A: "b", fprocess: "figlet" },
          labels: { l: "flag" },
          annotations: { n: "1" },
          readOnlyRootFilesystem: true,
        },
      },
    ]);
    expect((await scene.run(`${from} --arch riscv`)).stderr).toMatch(/no image for riscv, only for x86_64, arm64/);
    expect((await scene.run(`${from} --tag digest`)).stderr).toMatch(/--tag digest needs a handler/);
  });

  test("an empty namespace is left out", async () => {
    await using scene = await openScene(accepted);
    expect((await scene.run("generate --namespace= --filter hello")).stdout).not.toContain("namespace");
  });
});

describe("config view", () => {
  test("shows where things go, and what deploy would send there", async () => {
    await using scene = await openScene(accepted);
    const { code, stdout } = await scene.run("config view --json -e A=flag --token secret-token");
    expect(code).toBe(0);
    expect(stdout).not.toContain("secret-token");
    const shown = JSON.parse(stdout) as { functions: unknown[] };
    expect(shown).toMatchObject({ gateway: scene.gateway.url, credentials: "bearer", stackFile: "stack.yml" });
    expect(scene.asked()).toEqual([]);
    await scene.run("deploy -e A=flag");
    expect(shown.functions).toEqual(scene.gateway.seen.map(jsonOf));
  });

  test("shows the gateway where there is no stack file", async () => {
    await using scene = await openScene(accepted, {});
    const { stdout } = await scene.run("config view");
    expect(stdout).toMatch(
      /^gateway: http:\/\/127\.0\.0\.1:\d+\ncredentials: none\ncredentialsFile: .+\nfunctions: \[\]\n$/,
    );
  });
});

describe("diff", () => {
  const remote = {
    name: "second",
    namespace: "openfaas-fn",
    image: "second:1.0",
    envProcess: "own",
    labels: { faas_function: "second" },
    annotations: { "prometheus.io.scrape": "false" },
  };

  test("ends with 0 and says so when a deploy would change nothing", async () => {
    await using scene = await openScene(() => json(remote));
    expect(await scene.run("diff --filter second")).toEqual({ code: 0, stdout: "second: no difference\n", stderr: "" });
  });

  test("tells what differs, and ends with 1", async () => {
    await using scene = await openScene(({ path }) =>
      path.includes("hello") ? { status: 404 } : json({ ...remote, image: "second:0.9\u001b[2J", envVars: { X: "1" } }),
    );
    expect(await scene.run("diff", { screen: true })).toEqual({
      code: 1,
      stdout: [
        ...["hello: not deployed; faaslane deploy --filter hello deploys it", "second: differs"],
        ...["  - image: second:0.9\\x1b[2J", "  + image: second:1.0", "  - environment.X: 1", ""],
      ].join("\n"),
      stderr: "",
    });
    const { code, stdout } = await scene.run("diff --json --env local --filter second");
    expect([code, JSON.parse(stdout)[0].differences.map(({ field }: { field: string }) => field)]).toEqual([
      1,
      ["image"],
    ]);
  });

  test.each([
    ["local", ["environment.L"]],
    ["remote", ["environment.R"]],
    ["all", ["environment.L", "environment.R"]],
  ] as const)("variables of %s count", (side, fields) => {
    const local = { service: "f", image: "i", envVars: { L: "1", same: "1" } };
    const there = { name: "f", image: "i", envProcess: "only there", envVars: { R: "1", same: "1" } };
    expect(compareFunction(local, there, side).map(({ field }) => field)).toEqual(fields);
  });

  test("order of lists does not matter, resources and modes do", () => {
    const local = { service: "f", image: "i", secrets: ["a", "b"], limits: { cpu: "1" }, readOnlyRootFilesystem: true };
    expect(compareFunction(local, { name: "f", image: "i", secrets: ["b", "a"] }, "all")).toEqual([
      { field: "readonly_root_filesystem", local: "true", remote: "false" },
      { field: "limits.cpu", local: "1", remote: undefined },
    ]);
  });
});
