// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax of stack files

import { expect, test } from "@jest/globals";
import { CliError } from "../../../cli/errors.ts";
import { parseStack } from "../../../cli/stack/parse.ts";
import { STACK } from "../../conformance/cli-commands.ts";

const parse = (text: string, env: Record<string, string> = {}, envsubst = true) =>
  parseStack(text, { file: "stack.yml", env, envsubst });

const HEAD = "version: 1.0\nprovider: {name: openfaas}\n";

/** The fields of `functions.f`, given as YAML in flow style. */
function fieldsOf(yaml: string) {
  const [fn] = parse(`${HEAD}functions: {f: ${yaml}}\n`).functions;
  return fn;
}

test("every field lands where it belongs", () => {
  const stack = parse(`
version: 1.0
provider:
  name: openfaas
  gateway: https://gw.example/
  network: ignored
functions:
  first:
    lang: node@main
    handler: ./first
    image: registry:5000/first
    fprocess: node index.js
    environment: {A: 1}
    environment_file: [one.yml, two.yml]
    secrets: [key]
    labels: {com.openfaas.scale.min: 2}
    annotations: {topic: a,b: c}
    constraints: [node=x]
    limits: {memory: 128Mi, cpu: 100m}
    requests: {memory: 64Mi}
    readonly_root_filesystem: true
    namespace: dev
    skip_build: yes
    build_options: [dev]
    build_args: {X: 1}
    build_secrets: {npmrc: ./.npmrc}
    platforms: linux/amd64
    nobody_knows: [this]
  second:
configuration:
  templates:
    - name: go
      source: https://example/go#v1
    - {name: rust}
  copy: [./common]
`);
  expect(stack).toEqual({
    gateway: "https://gw.example/",
    resources: [],
    templates: [{ name: "go", source: "https://example/go#v1" }, { name: "rust" }],
    copy: ["./common"],
    functions: [
      {
        name: "first",
        lang: "node@main",
        handler: "./first",
        image: "registry:5000/first",
        fprocess: "node index.js",
        environment: { A: "1" },
        environmentFiles: ["one.yml", "two.yml"],
        secrets: ["key"],
        labels: { "com.openfaas.scale.min": "2" },
        annotations: { topic: "a", b: "c" },
        constraints: ["node=x"],
        limits: { memory: "128Mi", cpu: "100m" },
        requests: { memory: "64Mi" },
        readOnlyRootFilesystem: true,
        namespace: "dev",
        skipBuild: true,
        buildOptions: ["dev"],
        buildArgs: { X: "1" },
        buildSecrets: { npmrc: "./.npmrc" },
      },
      {
        name: "second",
        environment: {},
        environmentFiles: [],
        secrets: [],
        labels: {},
        annotations: {},
        constraints: [],
        limits: {},
        requests: {},
        readOnlyRootFilesystem: false,
        skipBuild: false,
        buildOptions: [],
        buildArgs: {},
        buildSecrets: {},
      },
    ],
  });
});

test.each<[yaml: string, text: string]>([
  ["1.10", "1.10"],
  ["1.0", "1.0"],
  ["0755", "0755"],
  ["0x1F", "0x1F"],
  ["1e3", "1e3"],
  ["1_000", "1_000"],
  ["true", "true"],
  ["on", "on"],
  ["No", "No"],
  [".nan", ".nan"],
  ["2026-01-31", "2026-01-31"],
  ["12:30:45", "12:30:45"],
  ["'single'", "single"],
  ['"a\\nb"', "a\nb"],
  ["!!str 5", "5"],
  ["!!int 5", "5"],
  ["", ""],
  ["~", ""],
  ["null", ""],
  ["NULL", ""],
  ["'null'", "null"],
  ["!!str null", "null"],
  ["nUll", "nUll"],
  ["a b", "a b"],
])("the scalar %s keeps its text", (yaml, text) => {
  expect(fieldsOf(`{environment: {V: ${yaml}}}`)?.environment).toEqual({ V: text });
});

test("block scalars keep their lines", () => {
  const text = `${HEAD}functions:\n  f:\n    environment:\n      A: |\n        one\n        two\n      B: >-\n        one\n        two\n`;
  expect(parse(text).functions[0]?.environment).toEqual({ A: "one\ntwo\n", B: "one two" });
});

test("names that objects have of their own are names like any other", () => {
  const environment = fieldsOf("{environment: {__proto__: a, constructor: b}}")?.environment;
  expect(Object.entries(environment ?? {})).toEqual([
    ["__proto__", "a"],
    ["constructor", "b"],
  ]);
});

test("anchors, aliases and merges save repetition", () => {
  const text = `${HEAD}
common: &common {lang: node, environment: {A: a}}
more: &more {image: i, lang: other}
functions:
  one: {<<: *common, image: x}
  two: {<<: [*common, *more]}
  three: {environment: &env {B: b}}
  four: {environment: *env, image: own, <<: *more}
`;
  expect(parse(text).functions.map(({ lang, image, environment }) => ({ lang, image, environment }))).toEqual([
    { lang: "node", image: "x", environment: { A: "a" } },
    { lang: "node", image: "i", environment: { A: "a" } },
    { lang: undefined, image: undefined, environment: { B: "b" } },
    { lang: "other", image: "own", environment: { B: "b" } },
  ]);
});

test.each<[yaml: string, value: boolean]>([
  ["true", true],
  ["yes", true],
  ["On", true],
  ["FALSE", false],
  ["n", false],
  ["~", false],
])("%s is a boolean where one is wanted", (yaml, value) => {
  expect(fieldsOf(`{skip_build: ${yaml}}`)?.skipBuild).toBe(value);
});

test("substitution happens before YAML is read, in keys and comments too", () => {
  const text = `${HEAD}# \${NOTE}\nfunctions:\n  \${NAME:-hello}:\n    image: \${REPO:-local}/x:\${TAG}\n    environment: {A: "\${LIST}"}\n`;
  const env = { NOTE: "anything: [", TAG: "1.10", LIST: 'x", B: "y' };
  expect(parse(text, env).functions[0]).toMatchObject({
    name: "hello",
    image: "local/x:1.10",
    environment: { A: "x", B: "y" },
  });
});

test("substitution can be switched off", () => {
  const [fn] = parse(`${HEAD}functions: {f: {image: "\${A-b}"}}`, {}, false).functions;
  expect(fn?.image).toBe("${A-b}");
});

test.each<[rule: string, text: string, message: string]>([
  ["bad YAML", "a: [", "stack.yml:1:"],
  ["tabs", `${HEAD}functions:\n\tf: {}`, "stack.yml:4:1: "],
  ["two documents", `${HEAD}---\na: b`, "stack.yml:3:1: must hold one document only"],
  [
    "the same key twice",
    `${HEAD}functions:\n  a: {}\n  a: {}\n`,
    "stack.yml:5:3: the key a appears twice in one mapping",
  ],
  [
    "the same field twice",
    `${HEAD}functions:\n  a:\n    image: x\n    image: y\n`,
    "stack.yml:6:5: the key image appears",
  ],
  [
    "a list for a mapping",
    `${HEAD}functions:\n  a:\n    environment: [A=b]\n`,
    "stack.yml:5:18: functions.a.environment: must be a mapping",
  ],
  ["build_args as a list", `${HEAD}functions: {a: {build_args: [A=b]}}`, "functions.a.build_args: must be a mapping"],
  ["text for a list", `${HEAD}functions: {a: {secrets: key}}`, "functions.a.secrets: must be a list"],
  ["a mapping for text", `${HEAD}functions: {a: {image: {x: y}}}`, "functions.a.image: must be text"],
  ["a mapping in a list", `${HEAD}functions: {a: {secrets: [{x: y}]}}`, "functions.a.secrets[0]: must be text"],
  ["text for a function", `${HEAD}functions: {a: b}`, "functions.a: must be a mapping"],
  ["a number for a boolean", `${HEAD}functions: {a: {skip_build: 1}}`, "functions.a.skip_build: must be true or false"],
  ["a list at the top", "- a", "stack.yml:1:1: the document: must be a mapping"],
  ["nothing at all", "", "provider: the name must be openfaas"],
  ["no provider", "functions: {}", "provider: the name must be openfaas"],
  ["the provider's old name", "provider: {name: faas}", "stack.yml:1:18: provider.name: the name must be openfaas"],
  ["another version", "version: 1\nprovider: {name: openfaas}", 'stack.yml:1:10: version: must be 1.0, not "1"'],
  ["an alias of nothing", `${HEAD}functions: *x`, "stack.yml:3:12: functions: nothing is anchored as x"],
  ["a merge of itself", "a: &a {<<: *a}\nprovider: *a", "merges itself"],
  [
    "a template without a name",
    `${HEAD}configuration: {templates: [{source: x}]}`,
    "configuration.templates[0]: the name is missing",
  ],
  ["a bad substitution", `${HEAD}functions: {a: {image: "\${A-b}"}}`, "stack.yml:3:25: bad substitution: ${A-b}"],
])("refuses %s", (_rule, text, message) => {
  const attempt = () => parse(text);
  expect(attempt).toThrow(CliError);
  expect(attempt).toThrow(message);
});

test.each(["version: 1.0", 'version: "1.0"', "version:", "other: x"])("%s is a version", (line) => {
  expect(parse(`${line}\nprovider: {name: openfaas}`).functions).toEqual([]);
});

test("a stack file with everything that a deploy can say", () => {
  expect(parse(STACK).functions[0]).toMatchObject({
    name: "greet",
    skipBuild: true,
    environment: { flag: "true", ratio: "1.10" },
    labels: { "com.openfaas.scale.min": "1" },
  });
});
