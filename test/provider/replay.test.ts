import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { ROOT } from "../support/platform.ts";
import { parseResponse, rawRequest } from "../support/raw-http.ts";
import { FakeBackend } from "./fake-backend.ts";
import { serveProvider, type TestProvider } from "./support.ts";

/*
 * What the original gateway and provider answered together on the control routes, asked of our provider again: same
 * status, same JSON fields, same text, but for what is listed here.
 */

interface Difference {
  readonly status?: number;
  /** What the body is instead. */
  readonly body: RegExp;
  readonly why: string;
}

const tells = (body: RegExp) => ({ body, why: "the original's error has no body" });
const words = (body: RegExp) => ({ body, why: "the original speaks of Kubernetes or Go" });

const PROBE_DIFFERENCES: Readonly<Record<string, Difference>> = {
  "list of another namespace": { body: /^namespace not found: elsewhere\n$/, why: "there can be several namespaces" },
  "create, not JSON": words(/^failed to unmarshal request: .+\n$/),
  "create, wrong type": words(/^failed to unmarshal request: envVars: .+\n$/),
  "create, existing": { status: 409, body: /^function reflect already exists\n$/, why: "defect 2" },
  "update, unknown function": words(/^function nope\.openfaas-fn not found\n$/),
  "delete, empty body": tells(/^failed to unmarshal request: unexpected end of JSON input\n$/),
  "delete unknown": words(/^function nope\.openfaas-fn not found\n$/),
  "scale to 0": {
    status: 404,
    body: /^function extra\.openfaas-fn not found\n$/,
    why: "it was removed two probes before, and the original had not got round to it",
  },
  "scale unknown": { status: 404, body: /^function nope\.openfaas-fn not found\n$/, why: "defect 3" },
  "scale, not JSON": { body: /^Error unmarshalling request body: .+\n$/, why: "ours says what is wrong" },
  "secret create again": tells(/^secret probe already exists\n$/),
  "secret without name": { status: 400, ...tells(/^secret: name: .+\n$/) },
  "secret bad name": tells(/^secret: name: \(Bad_Name!\) is invalid, must be a DNS subdomain\n$/),
  "secret update unknown": tells(/^secret nosuch not found\n$/),
  "secret delete unknown": tells(/^secret probe not found\n$/),
  "logs without name": {
    status: 422,
    body: /^could not parse the log request: name: .+\n$/,
    why: "the caller's mistake",
  },
  "logs bad tail": { status: 422, body: /^could not parse the log request: tail: .+\n$/, why: "the gateway hid it" },
  "logs bad since": { status: 422, body: /^could not parse the log request: since: .+\n$/, why: "the gateway hid it" },
};

/** What only a gateway answers, or answers differently from a provider. */
const GATEWAY_ONLY = new Set(["info", "healthz HEAD", "alert, empty", "alert, firing"]);

const CLI_DIFFERENCES: Readonly<Record<string, Difference>> = {
  "secret create, exists POST": tells(/^secret api-key already exists\n$/),
  "secret remove unknown DELETE": tells(/^secret api-key not found\n$/),
  "deploy with a secret that does not exist PUT": words(/^function shout\.openfaas-fn not found\n$/),
  "deploy new function PUT": words(/^function shout\.openfaas-fn not found\n$/),
  "deploy invalid memory PUT": words(/^function badmem\.openfaas-fn not found\n$/),
  "deploy invalid memory POST": words(
    /^validation failed: limits\.memory: "lots" is not a quantity such as 128Mi or 100m\n$/,
  ),
  "deploy into unknown namespace PUT": {
    body: /^namespace not found: nowhere\n$/,
    why: "there can be several namespaces",
  },
  "deploy by flags PUT": words(/^function plain\.openfaas-fn not found\n$/),
  "remove unknown DELETE": words(/^function nothere\.openfaas-fn not found\n$/),
  "logs of an unknown function GET": {
    status: 404,
    body: /^function nothere\.openfaas-fn not found\n$/,
    why: "the gateway hid it",
  },
};

/** Fields of a status that the original drops (defect 22). */
const RESTORED = ["envVars", "constraints", "readOnlyRootFilesystem"];

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function compare(ours: Answer, theirs: Answer, difference: Difference | undefined): void {
  expect(ours.status).toBe(difference?.status ?? theirs.status);
  if (difference) expect(ours.body).toMatch(difference.body);
  else if (theirs.type.startsWith("application/json")) {
    expect(ours.type).toBe("application/json");
    expect(plain(JSON.parse(ours.body))).toEqual(plain(JSON.parse(theirs.body)));
  } else expect(ours.body.trimEnd()).toBe(theirs.body.trimEnd());
}

/** Without moments, and without what we return in addition. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => ![...RESTORED, "usage", "createdAt"].includes(name));
  return { ...Object.fromEntries(kept), ...("createdAt" in value && { createdAt: expect.any(String) }) };
}

function read<T>(file: string): T | undefined {
  const path = join(ROOT, "../shared/recordings", file);
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as T;
  process.stderr.write(`not replayed: the recording ${file} is not here\n`);
  return undefined;
}

interface Probe {
  readonly case: string;
  readonly request: string;
  readonly response: { readonly head: string; readonly body: string };
}
const probes = read<Probe[]>("gateway-probes.json")?.filter(
  (probe) => /^\w+ (\/system\/|\/healthz)/.test(probe.request) && !GATEWAY_ONLY.has(probe.case),
);

interface Step {
  readonly step: string;
  readonly request: { readonly method: string; readonly path: string; readonly body: string };
  readonly response: { readonly status: number; readonly headers: Record<string, string>; readonly body: string };
}
const steps = read<Step[]>("faas-cli.json")?.filter(({ request }) => !request.path.startsWith("/function/"));

/** What is asked where there are no recordings, so that the way of asking is tested all the same. */
const absentProbe: Probe = {
  case: "healthz",
  request: "GET /healthz HTTP/1.1\r\nHost: gw.test\r\n\r\n",
  response: { head: "HTTP/1.1 200 OK\r\nContent-Length: 0", body: "" },
};
const absentStep: Step = {
  step: "ready",
  request: { method: "GET", path: "/healthz", body: "" },
  response: { status: 200, headers: {}, body: "" },
};

let provider: TestProvider;
const open = async (...functions: string[]) => {
  provider = await serveProvider({
    backend: new FakeBackend(),
    credentials: { user: "admin", password: "secret" },
  });
  for (const name of functions) {
    const created = await authorized("POST", "/system/functions", {
      service: name,
      image: "docker.io/local/reflect:1",
    });
    expect(created.status).toBe(202);
  }
};
const authorization = `Basic ${Buffer.from("admin:secret").toString("base64")}`;
const authorized = (method: string, path: string, body?: unknown) =>
  provider.call(method, path, body, { authorization });

describe("gateway probes", () => {
  beforeAll(() => open("reflect"));
  afterAll(() => provider.close());

  test.each((probes ?? [absentProbe]).map((probe) => [probe.case, probe] as const))(
    "%s",
    async (name, { request, response }) => {
      const line = request.indexOf("\r\n") + 2;
      const raw = `${request.slice(0, line)}Authorization: ${authorization}\r\n${request.slice(line)}`;
      const ours = await rawRequest(provider.port, raw);
      const theirs = parseResponse(`${response.head}\r\n\r\n${response.body}`);
      const asAnswer = (answer: typeof theirs): Answer => ({
        status: answer.status,
        type: answer.headers.get("content-type")?.[0] ?? "",
        body: answer.body,
      });
      if (!ours) throw new Error("no answer");
      compare(asAnswer(ours), asAnswer(theirs), PROBE_DIFFERENCES[name]);
    },
  );
});

describe("faas-cli", () => {
  beforeAll(() => open());
  afterAll(() => provider.close());

  test.each((steps ?? [absentStep]).map((step) => [`${step.step} ${step.request.method}`, step] as const))(
    "%s %#",
    async (name, { step, request, response }) => {
      const send = step === "login, wrong password" ? provider.call : authorized;
      const answer = await send(request.method, request.path, request.body || undefined);
      const type = answer.headers.get("content-type") ?? "";
      const ours = { status: answer.status, type, body: await answer.text() };
      if (step === "version") {
        // The gateway wraps it: what it wraps is ours.
        expect(JSON.parse(ours.body)).toMatchObject({
          provider: expect.any(String),
          orchestration: expect.any(String),
          version: { sha: expect.any(String), release: expect.any(String) },
        });
        return;
      }
      const theirs = { status: response.status, type: response.headers["content-type"] ?? "", body: response.body };
      compare(ours, theirs, CLI_DIFFERENCES[name]);
      if (response.status === 401) expect(answer.headers.get("www-authenticate")).toBe('Basic realm="Restricted"');
    },
  );
});
