// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax of stack files
import { expect, test } from "@jest/globals";
import { runHere } from "../support/run-cli.ts";
import { accepted, openScene } from "../support/scene.ts";

const HEAD = "version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  f:\n    image: reg:5000/f\n";
const WHOLE = `${HEAD}    lang: t
    handler: ./f
    environment: {A: inline, B: 0755, C: on, D: 1.10, E: ~, F: "", G: 1_000}
    environment_file: [one.yml, two.yml]
    secrets: [own]
    labels: {a: 1, b: true}
    annotations: {x: y}
    constraints: [kind=own]
    limits: {memory: 128Mi, cpu: 100m}
    requests: {memory: 64Mi}
    readonly_root_filesystem: true
    namespace: dev
    skip_build: true
    build_args: {X: y}
    build_options: [dev]
    build_secrets: {npm: ./npmrc}
    platforms: linux/arm64
    unknown: {key: ignored}
`;
const FILES = {
  "one.yml": "environment: {A: one, H: one}\n",
  "two.yml": "environment: {H: two, I: '${NOT_REPLACED}'}\nother: ignored\n",
  "f/handler.js": "mine",
  "template/t/template.yml": "language: t\nfprocess: from template\n",
};
const EMPTY = '"labels":{},"annotations":{}}';
const ENV =
  '"envVars":{"A":"one","B":"0755","C":"on","D":"1.10","E":"","F":"","G":"1_000","H":"two","I":"${NOT_REPLACED}"}';
const REST = '"limits":{"memory":"128Mi","cpu":"100m"},"requests":{"memory":"64Mi"},"readOnlyRootFilesystem":true}';

/** What a stack file and flags come to: the body of the request, to the byte. */
test.each<[rule: string, stack: string, flags: string[], body: string]>([
  ["nothing but an image", HEAD, [], `{"service":"f","image":"reg:5000/f:latest",${EMPTY}`],
  [
    "every field, each scalar as it is written, files over what is inline, the later file over the earlier",
    WHOLE,
    [],
    `{"service":"f","image":"reg:5000/f:latest","namespace":"dev","envProcess":"from template",${ENV},"constraints":["kind=own"],"secrets":["own"],"labels":{"a":"1","b":"true"},"annotations":{"x":"y"},${REST}`,
  ],
  [
    "traffic, rollout, routes and the name of a version are annotations",
    `${HEAD}    annotations: {x: y}
    version_name: 1.10
    traffic: [{version: v6, percent: 90.50}, {version: latest, percent: 9.5}, {version: v5, tag: old}]
    rollout:
      strategy: canary
      steps: [1@2m, 50@pause, 100]
      gate: errors<1%,p95<1.3x
      min_requests: 20
    routes: [shop.example.com/cart/* @old, {host: "*.example.com", exact: yes, path: /x, methods: [post]}]
`,
    [],
    `{"service":"f","image":"reg:5000/f:latest","labels":{},"annotations":{"x":"y","com.faaslane.version-name":"1.10","com.faaslane.traffic":"v6=90.5,latest=9.5,v5=0@old","com.faaslane.rollout":"canary","com.faaslane.rollout.steps":"1@2m,50@pause,100","com.faaslane.rollout.gate":"errors<1%,p95<1.3x","com.faaslane.rollout.min-requests":"20","com.faaslane.routes":"shop.example.com/cart/* @old; POST *.example.com/x"}}`,
  ],
  [
    "a strategy alone",
    `${HEAD}    rollout: blue-green\n    routes: a.b\n`,
    [],
    `{"service":"f","image":"reg:5000/f:latest","labels":{},"annotations":{"com.faaslane.rollout":"blue-green","com.faaslane.routes":"a.b/*"}}`,
  ],
  [
    "flags win over the stack file, but constraints do not; secrets are joined, those of flags first",
    WHOLE,
    [
      "-n",
      "prod",
      "-e",
      "A=flag",
      "-e",
      "Z=a=b",
      "-l",
      "b=flag",
      "--annotation",
      "x=flag",
      "--annotation",
      "n=1",
    ].concat(["--constraint", "kind=flag", "--secret", "more", "--secret", "own"]),
    `{"service":"f","image":"reg:5000/f:latest","namespace":"prod","envProcess":"from template",${ENV.replace('"one"', '"flag"').replace(/}$/, ',"Z":"a=b"}')},"constraints":["kind=own"],"secrets":["more","own"],"labels":{"a":"1","b":"flag"},"annotations":{"x":"flag","n":"1"},${REST}`,
  ],
  [
    "what flags alone say",
    HEAD,
    ["--constraint", "kind=flag", "--secret", "s", "--readonly"],
    `{"service":"f","image":"reg:5000/f:latest","constraints":["kind=flag"],"secrets":["s"],"labels":{},"annotations":{},"readOnlyRootFilesystem":true}`,
  ],
  [
    "fprocess of the stack file wins over that of the template",
    `${HEAD}    lang: t\n    fprocess: own\n`,
    [],
    `{"service":"f","image":"reg:5000/f:latest","envProcess":"own",${EMPTY}`,
  ],
  [
    "the template is not read",
    `${HEAD}    lang: missing\n`,
    ["--read-template=false"],
    `{"service":"f","image":"reg:5000/f:latest",${EMPTY}`,
  ],
  [
    "a Dockerfile has no template",
    `${HEAD}    lang: Dockerfile\n`,
    [],
    `{"service":"f","image":"reg:5000/f:latest",${EMPTY}`,
  ],
  [
    "a tag stays, and a digest of the handler takes its place",
    `${HEAD.replace("reg:5000/f", "reg:5000/f:1.0")}    handler: ./f\n`,
    ["--tag", "digest"],
    // md5 of the hex md5 of "mine".
    `{"service":"f","image":"reg:5000/f:403ae0d9d74c356f6034cbb09f62f598",${EMPTY}`,
  ],
  [
    "variables with defaults, nested, empty as if unset, before the file is read",
    `${HEAD}    labels: {v: "\${V:-d}", n: "\${NONE:-\${V}x}", e: "\${EMPTY:-d}", plain: $V, kept: "$\${V}", \${V}: key}\n`,
    [],
    `{"service":"f","image":"reg:5000/f:latest","labels":{"v":"set","n":"setx","e":"d","plain":"$V","kept":"\${V}","set":"key"},"annotations":{}}`,
  ],
  [
    "variables are left alone",
    `${HEAD}    labels: {v: "\${V:-d}"}\n`,
    ["--envsubst=false"],
    `{"service":"f","image":"reg:5000/f:latest","labels":{"v":"\${V:-d}"},"annotations":{}}`,
  ],
  [
    "aliases and merges",
    `x: &x {a: "1", b: "1"}\n${HEAD}    labels: {<<: *x, b: "2"}\n    annotations: *x\n`,
    [],
    `{"service":"f","image":"reg:5000/f:latest","labels":{"b":"2","a":"1"},"annotations":{"a":"1","b":"1"}}`,
  ],
])("%s", async (_rule, stack, flags, body) => {
  await using scene = await openScene(accepted, { ...FILES, "stack.yml": stack });
  const options = { cwd: scene.workspace.path, env: { OPENFAAS_URL: scene.gateway.url, V: "set", EMPTY: "" } };
  expect(await runHere(["deploy", ...flags], options)).toMatchObject({ code: 0, stderr: "" });
  // What is asked afterwards, of a function with versions, is not the deploy's.
  const writes = scene.gateway.seen.filter(({ method }) => method !== "GET");
  expect(writes.map((request) => request.body.toString())).toEqual([body]);
});

test.each<[flag: string, stack: string, args: string, message: RegExp]>([
  [
    "an environment file that is missing",
    `${HEAD}    environment_file: [no.yml]\n`,
    "",
    /f: environment_file: cannot read no.yml/,
  ],
  [
    "a template that is missing",
    `${HEAD}    lang: no\n`,
    "",
    /no template for lang "no".*--read-template=false deploys/,
  ],
  [
    "a list of build arguments",
    `${HEAD}    build_args: [A=b]\n`,
    "",
    /^Error: stack.yml:7:17: functions.f.build_args: must be/,
  ],
  [
    "a mapping for a list",
    `${HEAD}    secrets: {a: b}\n`,
    "",
    /^Error: stack.yml:7:14: functions.f.secrets: must be a list/,
  ],
  ["a flag without a value", HEAD, "-e A=", /^Error: --env must be key=value, neither of them empty/],
  ["both ways to select", HEAD, "--filter f --regex f", /--filter and --regex cannot be used together/],
  ["nothing selected", HEAD, "--regex (?i)G", /no function of the stack file matches --regex "\(\?i\)G"/],
])("%s is told", async (_rule, stack, args, message) => {
  await using scene = await openScene(accepted, { "stack.yml": stack });
  const { code, stderr } = await scene.run(`deploy ${args}`.trim());
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
  expect(scene.gateway.seen).toEqual([]);
});

test("an expression may ignore case", async () => {
  await using scene = await openScene(accepted, { "stack.yml": HEAD });
  expect(await scene.run("deploy --regex (?i)^F$")).toMatchObject({ code: 0 });
});

test("flags of faas-cli without a meaning here are taken and told", async () => {
  const built = '{"status":"success","image":"i@sha256:00"}\n';
  await using scene = await openScene(({ path }) => ({ status: path === "/system/build" ? 200 : 202, body: built }), {
    ...FILES,
    "stack.yml": `${HEAD}    lang: t\n    handler: ./f\n`,
    "template/t/function/handler.js": "",
  });
  const flags =
    "--squash --publish=true --platforms linux/arm64 --pull=false --overwrite=false --disable-stack-pull --network n";
  const { code, stderr } = await scene.run(`up ${flags}`);
  expect(code).toBe(0);
  expect(stderr.match(/^Note: --[a-z-]+ means nothing here: .+$/gm)).toHaveLength(5);
  expect((await scene.run("up --help")).stdout).not.toContain("--squash");
});
