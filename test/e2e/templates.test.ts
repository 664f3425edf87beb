import { execFile, spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { openPackageIndex } from "../support/package-index.ts";
import { Platform, runCli, temporaryFolder } from "../support/platform.ts";
import { missingPrograms } from "../templates/support/programs.ts";

/** Each template as its users have it: a new function from its sample, tested, built, deployed and called. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({
    dataDir: join(folder.path, "data"),
    cwd: folder.path,
  });
});
afterAll(async () => {
  platform?.kill("SIGKILL");
  await platform?.ended;
  await folder?.remove();
});

const environment = () => ({ OPENFAAS_URL: platform.url, data_dir: join(folder.path, "data") });
const cli = (...args: string[]) => runCli(args, { cwd: folder.path, env: environment() });

async function succeed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args);
  if (code !== 0) throw new Error(`faaslane ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** Builds and deploys a function that is written here. */
async function up(
  name: string,
  lang: string,
  files: Readonly<Record<string, string>>,
  more = "",
  flags: readonly string[] = [],
): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, name, path)), { recursive: true });
    await writeFile(join(folder.path, name, path), text);
  }
  await writeFile(
    join(folder.path, `${name}.yml`),
    `version: 1.0\nprovider: { name: openfaas }\nfunctions:\n  ${name}:\n    lang: ${lang}\n    handler: ./${name}\n    image: ${name}:latest\n${more}`,
  );
  return await succeed("up", "-f", `${name}.yml`, ...flags);
}

/** As much of it as a handler uses that calls another function. */
const REQUESTS = `import urllib.request

class Answer:
    pass

def post(url, data):
    answer = Answer()
    with urllib.request.urlopen(url, data=data.encode()) as response:
        answer.status_code, answer.text = response.status, response.read().decode()
    return answer
`;

const call = (name: string, init: RequestInit = {}, path = "") =>
  fetch(`${platform.url}/function/${name}${path}`, init);
const post = (name: string, body: string, type = "text/plain") =>
  call(name, { method: "POST", body, headers: { "content-type": type } }, "/greet");

const json = (more: object) => (text: string) =>
  expect(JSON.parse(text)).toEqual({ path: "/greet", method: "POST", ...more });
const line = (expected: string) => (text: string) => expect(text.trimEnd()).toBe(expected);
const testNode = ["node", "--test"] as const;
const testPython = ["python3", "-m", "unittest", "handler_test"] as const;

interface Row {
  readonly template: string;
  readonly needs: readonly string[];
  /** Runs the sample's own test, in its folder. */
  readonly check?: readonly [string, ...string[]];
  readonly expected: (answer: string) => void;
}

const ROWS: readonly Row[] = [
  ...["node", "node18", "node20", "node22"].map((template) => ({
    template,
    needs: [],
    check: testNode,
    expected: json({ received: "hello", contentType: "text/plain" }),
  })),
  { template: "typescript", needs: [], check: testNode, expected: json({ received: "hello" }) },
  // Its own test is run where it is compiled anyway, and node-express, which needs a registry, in test/templates.
  { template: "golang-middleware", needs: ["go"], expected: line("POST /greet with: hello") },
  { template: "python3", needs: ["python3"], check: testPython, expected: line("hello") },
  {
    template: "python3-http",
    needs: ["python3"],
    check: testPython,
    expected: json({ received: "hello", contentType: "text/plain" }),
  },
  { template: "python3-flask", needs: ["python3", "flask"], check: testPython, expected: line("hello") },
  { template: "bash", needs: ["bash"], check: ["bash", "handler_test.sh"], expected: line("POST /greet with:\nhello") },
  {
    template: "bash-streaming",
    needs: ["bash"],
    check: ["bash", "handler_test.sh"],
    expected: line("POST /greet with:\nhello"),
  },
];

/** Programs by their names; `flask` is a module of Python. */
function missing(needs: readonly string[]): string | undefined {
  const answers = (program: string, ...args: string[]) => spawnSync(program, args, { timeout: 20_000 }).status === 0;
  if (needs.includes("go") && !answers("go", "version")) return "this machine has no go";
  const found = missingPrograms(...needs.filter((name) => !["flask", "go"].includes(name)));
  if (found !== undefined || !needs.includes("flask")) return found;
  return answers("python3", "-c", "import flask") ? undefined : "this machine's python3 has no flask";
}

async function runOwnTest([program, ...args]: readonly [string, ...string[]], folder: string): Promise<void> {
  // Python's samples are modules of a package. Jest's own settings must not reach another runner.
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const isPython = program === "python3";
  const words = isPython ? args.map((arg) => arg.replace("handler_test", "sample.handler_test")) : args;
  await promisify(execFile)(program === "node" ? process.execPath : program, words, {
    cwd: isPython ? folder : join(folder, "sample"),
    env: { ...env, PYTHONDONTWRITEBYTECODE: "1" },
  });
}

describe("new, its own test, build, deploy, call", () => {
  for (const { template, needs, check, expected } of ROWS) {
    testNeeding(unlessRequired(missing(needs)))(
      template,
      async () => {
        const name = `a-${template}`;
        await mkdir(join(folder.path, name));
        const at = { cwd: join(folder.path, name), env: environment() };
        const made = await runCli(["new", "sample", "--lang", template], at);
        expect([made.code, made.stderr]).toEqual([0, ""]);
        if (check !== undefined) await runOwnTest(check, at.cwd);
        const stack = join(at.cwd, "stack.yaml");
        const text = await readFile(stack, "utf8");
        await writeFile(stack, text.replaceAll("sample:", `${name}:`));
        const deployed = await runCli(["up"], at);
        expect([deployed.code, deployed.stderr]).toEqual([0, ""]);
        const answer = await post(name, "hello");
        const body = await answer.text();
        expect([answer.status, body]).toEqual([200, expect.any(String)]);
        expected(body);
      },
      300_000,
    );
  }
});

describe("handlers of the official templates run unchanged", () => {
  const withPython = testNeeding(unlessRequired(missingPrograms("python3")));

  withPython(
    "hello-python, with limits, labels and secrets in its stack file",
    async () => {
      await succeed("secret", "create", "api-key", "--from-literal", "s3cret");
      await up(
        "hello-python",
        "python3",
        {
          "handler.py": `import os

def handle(req):
    """handle a request to the function
    Args:
        req (str): request body
    """
    folder = os.environ.get("FAASLANE_SECRETS_DIR", "/var/openfaas/secrets")
    with open(os.path.join(folder, "api-key")) as secret:
        key = secret.read()
    return "Hello " + req + ", key of %d letters" % len(key)
`,
        },
        `    environment: { write_debug: true }
    labels: { com.openfaas.scale.min: "1", com.openfaas.scale.max: "4" }
    limits: { memory: 128Mi, cpu: 500m }
    requests: { memory: 32Mi, cpu: 50m }
    secrets: [api-key]
`,
      );
      expect((await (await post("hello-python", "Ada")).text()).trim()).toBe("Hello Ada, key of 6 letters");
    },
    120_000,
  );

  withPython(
    "one function calls another through the gateway with requests, which comes from a private index",
    async () => {
      await using index = await openPackageIndex({ requests: REQUESTS });
      await up("inner", "python3", { "handler.py": "def handle(req):\n    return req.upper()\n" });
      await up(
        "outer",
        "python3",
        {
          "handler.py": `import os
import requests

def handle(req):
    gateway = os.environ["gateway_url"]
    answer = requests.post(gateway + "/function/inner", data=req)
    if answer.status_code != 200:
        raise Exception("inner answered " + str(answer.status_code))
    return "inner says " + answer.text
`,
          "requirements.txt": "requests\n",
        },
        `    environment: { gateway_url: "${platform.url}" }\n`,
        ["--build-arg", `PIP_INDEX_URL=${index.url}`],
      );
      expect(index.asked).toContain("/simple/requests/");
      expect((await (await post("outer", "deep")).text()).trim()).toBe("inner says DEEP");
    },
    180_000,
  );

  withPython(
    "a CloudEvent reaches a handler in Python, in its headers or as a whole",
    async () => {
      await up("events", "python3-http", {
        "handler.py": `import json

def handle(event, context):
    if event.headers.get("Content-Type", "").startswith("application/cloudevents+json"):
        cloud = json.loads(event.body)
    else:
        cloud = {name[3:].lower(): value for name, value in event.headers.items() if name.lower().startswith("ce-")}
        cloud["data"] = json.loads(event.body)
    return {"statusCode": 200, "body": {"type": cloud["type"], "id": cloud["id"], "data": cloud["data"]}}
`,
      });
      const binary = await call("events", {
        method: "POST",
        body: '{"a":1}',
        headers: { "ce-specversion": "1.0", "ce-type": "made", "ce-id": "7", "content-type": "application/json" },
      });
      expect(await binary.json()).toEqual({ type: "made", id: "7", data: { a: 1 } });
      const whole = { specversion: "1.0", type: "made", id: "8", source: "/x", data: { b: 2 } };
      const structured = await post("events", JSON.stringify(whole), "application/cloudevents+json; charset=utf-8");
      expect(await structured.json()).toEqual({ type: "made", id: "8", data: { b: 2 } });
    },
    120_000,
  );
});

describe("what is required is installed", () => {
  test("a failed install shows its last lines, and what was deployed goes on", async () => {
    await up("steady", "node", { "handler.js": "module.exports = async () => 'first';" });
    await writeFile(
      join(folder.path, "steady/package.json"),
      JSON.stringify({ dependencies: { "no-such-file": "file:./nowhere.tgz" } }),
    );
    const failed = await cli("up", "-f", "steady.yml");
    expect(failed.code).toBe(1);
    expect(failed.stdout + failed.stderr).toMatch(/npm (error|ERR!)/);
    expect(failed.stderr).toContain("the install step ended with exit code");
    expect(await (await call("steady")).text()).toBe("first");
  }, 120_000);
});

test("static serves the files of a folder, with their types", async () => {
  await up("pages", "static", {
    "index.html": "<p>home",
    "sub/style.css": "a { color: red }",
    "sub/data.json": '{"a":1}',
  });
  const home = await call("pages", {}, "/");
  expect([home.status, await home.text()]).toEqual([200, "<p>home"]);
  const style = await call("pages", {}, "/sub/style.css");
  expect([style.headers.get("content-type"), await style.text()]).toEqual([
    expect.stringMatching(/^text\/css/),
    "a { color: red }",
  ]);
  expect((await call("pages", {}, "/nothing")).status).toBe(404);
  expect((await call("pages", {}, "/../faaslane.json")).status).toBe(404);
}, 120_000);

describe("lang: dockerfile", () => {
  const FLASK = `from flask import Flask, request

app = Flask(__name__)

@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def hello(path):
    return "Hello " + request.get_data(as_text=True) + " at /" + path

if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8080)
`;

  testNeeding(unlessRequired(missing(["python3", "flask"])))(
    "the Flask program of a tutorial deploys unchanged, in several replicas",
    async () => {
      await up(
        "flask-app",
        "dockerfile",
        {
          "app.py": FLASK,
          "requirements.txt": "# Flask is there already\n",
          Dockerfile:
            'FROM python:3.12-slim\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\nEXPOSE 8080\nCMD ["python", "app.py"]\n',
        },
        '    labels: { com.openfaas.scale.min: "2" }\n',
      );
      expect(await (await post("flask-app", "Ada")).text()).toBe("Hello Ada at /greet");
    },
    120_000,
  );

  test("a new one from the sample, without a watchdog", async () => {
    const at = { cwd: join(folder.path, "own-image"), env: environment() };
    await mkdir(at.cwd);
    expect(await runCli(["new", "own-image", "--lang", "dockerfile"], at)).toMatchObject({ code: 0 });
    const deployed = await runCli(["up"], at);
    expect([deployed.code, deployed.stderr]).toEqual([0, ""]);
    expect(await (await post("own-image", "hello")).text()).toBe("POST /greet with: hello\n");
  }, 120_000);

  test("an image of the classic watchdog", async () => {
    await up("cats", "dockerfile", {
      Dockerfile:
        'FROM ghcr.io/openfaas/classic-watchdog:0.3.4 AS watchdog\nFROM alpine:3.20\nCOPY --from=watchdog /fwatchdog /usr/bin/fwatchdog\nRUN chmod +x /usr/bin/fwatchdog && adduser -D app\nUSER app\nENV fprocess="cat"\nCMD ["fwatchdog"]\n',
    });
    expect(await (await post("cats", "meow")).text()).toBe("meow");
  }, 120_000);

  test("one that cannot be followed says which line, and what to add", async () => {
    const message = up("strange", "dockerfile", { Dockerfile: 'FROM node:24\nRUN make world\nCMD ["./world"]\n' });
    await expect(message).rejects.toThrow(/line 2: RUN make world cannot be done .*; .*add a faaslane\.json/);
  }, 120_000);
});
