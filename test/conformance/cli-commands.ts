import { expect } from "@jest/globals";
import {
  type BodyFacts,
  type HeaderFacts,
  including,
  JSON_TYPE,
  listing,
  notListing,
  type Row,
  request,
  TEXT,
} from "./facts.ts";
import { settings } from "./settings.ts";
import { ECHO } from "./target.ts";

/** One request of a command, and what the client relies on in its answer. */
export interface Exchange {
  readonly line: string;
  /** Sent as JSON unless it is text. */
  readonly sends?: object | string;
  /** Header lines besides those of the body and the password. */
  readonly head?: readonly string[];
  readonly status: number;
  readonly headers?: HeaderFacts;
  readonly facts?: BodyFacts;
  /** What a gateway that is played to the client answers, where the client reads it. */
  readonly reply?: string;
}

/** A command line of `faas-cli`, and its requests in their order. */
export interface Command {
  readonly name: string;
  readonly args: string;
  readonly input?: string;
  /** Exit code of our client. */
  readonly code: number;
  readonly asks: readonly Exchange[];
  /** What our client asks besides and faas-cli does not; a gateway of OpenFaaS has no such route. */
  readonly alsoAsks?: readonly string[];
}

const { image: IMAGE } = ECHO;

export const STACK = `version: 1.0
provider:
  name: openfaas
functions:
  greet:
    image: ${IMAGE}
    skip_build: true
    environment: {write_timeout: 10s, exec_timeout: 10s, flag: true, ratio: 1.10}
    labels: {com.openfaas.scale.min: "1", com.openfaas.scale.max: "3"}
    annotations: {topic: orders}
    secrets: [api-key]
    limits: {memory: 128Mi, cpu: 100m}
    requests: {memory: 64Mi, cpu: 50m}
    constraints: ["kubernetes.io/os=linux"]
    readonly_root_filesystem: true
`;

/** What a deploy of {@link STACK} sends: all values of variables are text, as they are written. */
const GREET = {
  service: "greet",
  ...ECHO,
  envVars: { exec_timeout: "10s", flag: "true", ratio: "1.10", write_timeout: "10s" },
  constraints: ["kubernetes.io/os=linux"],
  secrets: ["api-key"],
  labels: { "com.openfaas.scale.max": "3", "com.openfaas.scale.min": "1" },
  annotations: { topic: "orders" },
  limits: { memory: "128Mi", cpu: "100m" },
  requests: { memory: "64Mi", cpu: "50m" },
  readOnlyRootFilesystem: true,
};

const { service: name, envVars, labels, annotations, ...rest } = GREET;
/** The status of the function that {@link GREET} makes. */
const STATUS = {
  name,
  namespace: settings.namespace,
  ...rest,
  envVars,
  replicas: 1,
  availableReplicas: 1,
  labels: { ...labels, faas_function: "greet" },
  annotations: { ...annotations, "prometheus.io.scrape": "false" },
};
const FUNCTION = { ...STATUS, createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) };
const REPLY = { ...STATUS, createdAt: "2026-01-31T12:00:00Z" };

const notFound = (what: string) => ({
  status: 404,
  headers: TEXT,
  facts: new RegExp(`\\b${what}\\b.* not found\\s*$`),
});
const refused = (facts: RegExp) => ({ status: 400, headers: TEXT, facts });
const put = (sends: object, answer: Omit<Exchange, "line">): Exchange => ({
  line: "PUT /system/functions",
  sends,
  ...answer,
});
const create = (sends: object, answer: Omit<Exchange, "line">): Exchange => ({
  ...put(sends, answer),
  line: "POST /system/functions",
});
const remove = (functionName: string, answer: Omit<Exchange, "line">): Exchange => ({
  line: "DELETE /system/functions",
  sends: { functionName },
  ...answer,
});
const secret = (method: string, sends: object, answer: Omit<Exchange, "line">): Exchange => ({
  line: `${method} /system/secrets`,
  sends,
  ...answer,
});
const list = (facts: (body: string) => void, reply: unknown): Exchange => ({
  line: "GET /system/functions",
  status: 200,
  headers: JSON_TYPE,
  facts,
  reply: JSON.stringify(reply),
});
const emptyList = list(notListing("greet"), []);
const fullList = list(listing(FUNCTION), [REPLY]);
const accepted = { status: 202, facts: "" };

/** The path of calls names the namespace, and text goes as such. */
const INVOKED: HeaderFacts = {
  "content-type": "text/plain",
  "x-call-id": /./,
  "x-start-time": /./,
  "x-served-by": /./,
  "x-duration-seconds": /./,
};
const invoke = (line: string, answer: Omit<Exchange, "line">): Exchange => ({
  line,
  sends: "hello",
  head: ["Content-Type: text/plain"],
  ...answer,
});

/** A deploy by flags alone sends the maps that are empty, too. */
const byFlags = (service: string, more: object = {}) => ({
  service,
  ...ECHO,
  labels: {},
  annotations: {},
  ...more,
});
const PLAIN = byFlags("plain", { envVars: { a: "1" }, labels: { team: "x" }, annotations: { note: "y" } });
const flags = (rest: string) => `deploy --image ${IMAGE} ${rest}`;

/** In the order they are given. */
export const COMMANDS: readonly Command[] = [
  { name: "login", args: "login --password-stdin", input: "secret", code: 0, asks: [emptyList] },
  {
    name: "version",
    args: "version",
    code: 0,
    asks: [
      {
        line: "GET /system/info",
        status: 200,
        headers: JSON_TYPE,
        facts: {
          provider: { provider: expect.any(String), orchestration: expect.any(String), version: expect.any(Object) },
          version: { release: expect.any(String), sha: expect.any(String), commit_message: expect.any(String) },
          arch: expect.any(String),
        },
        reply: JSON.stringify({
          provider: { provider: "p", orchestration: "o", version: { release: "1", sha: "s" } },
          version: { release: "2", sha: "t", commit_message: "c" },
          arch: "amd64",
        }),
      },
    ],
  },
  { name: "list, nothing deployed", args: "list", code: 0, asks: [emptyList] },
  {
    name: "namespace list",
    args: "namespace list",
    code: 0,
    asks: [
      {
        line: "GET /system/namespaces",
        status: 200,
        headers: JSON_TYPE,
        facts: including(settings.namespace),
        reply: JSON.stringify([settings.namespace]),
      },
    ],
  },
  {
    name: "deploy with a secret that does not exist",
    args: "deploy -f stack.yml",
    code: 1,
    asks: [put(GREET, notFound("greet")), create(GREET, refused(/\bapi-key\b.* not found/))],
  },
  {
    name: "secret create",
    args: "secret create api-key --from-literal hunter2",
    code: 0,
    asks: [secret("POST", { name: "api-key", value: "hunter2" }, accepted)],
  },
  {
    name: "secret create, exists",
    args: "secret create api-key --from-literal hunter2",
    code: 1,
    asks: [
      secret("POST", { name: "api-key", value: "hunter2" }, { status: 409, facts: /\bapi-key\b.* already exists/ }),
    ],
  },
  {
    name: "secret list",
    args: "secret list",
    code: 0,
    asks: [
      {
        line: "GET /system/secrets",
        status: 200,
        headers: JSON_TYPE,
        facts: listing({ name: "api-key", namespace: settings.namespace }),
        reply: '[{"name":"api-key","namespace":"openfaas-fn"}]',
      },
    ],
  },
  {
    name: "deploy new function",
    args: "deploy -f stack.yml",
    code: 0,
    asks: [put(GREET, notFound("greet")), create(GREET, accepted)],
  },
  { name: "list", args: "list", code: 0, asks: [fullList] },
  { name: "list verbose", args: "list -v", code: 0, asks: [fullList] },
  {
    name: "describe",
    args: "describe greet",
    code: 0,
    asks: [
      {
        line: "GET /system/function/greet?usage=1",
        status: 200,
        headers: JSON_TYPE,
        facts: FUNCTION,
        reply: JSON.stringify(REPLY),
      },
      fullList,
    ],
    alsoAsks: ["GET /system/function/greet/versions"],
  },
  {
    name: "invoke",
    args: "invoke greet",
    input: "hello",
    code: 0,
    asks: [invoke(`POST /function/greet.${settings.namespace}`, { status: 200, headers: INVOKED, facts: "hello" })],
  },
  {
    name: "invoke with query, headers, method",
    args: "invoke greet --query a=1 -H X-Test=1 -m PUT",
    input: "hello",
    code: 0,
    asks: [
      {
        ...invoke(`PUT /function/greet.${settings.namespace}?a=1`, { status: 200, headers: INVOKED, facts: "hello" }),
        head: ["Content-Type: text/plain", "X-Test: 1"],
      },
    ],
  },
  {
    name: "invoke unknown function",
    args: "invoke nothere",
    input: "hello",
    code: 1,
    asks: [
      invoke(`POST /function/nothere.${settings.namespace}`, {
        status: 404,
        headers: TEXT,
        facts: /^error finding function nothere\.[-a-z]+\b/,
      }),
    ],
  },
  {
    name: "logs of an unknown function",
    args: "logs nothere",
    code: 1,
    asks: [{ line: "GET /system/logs?follow=true&name=nothere&tail=-1", ...notFound("nothere") }],
  },
  {
    name: "secret update",
    args: "secret update api-key --from-literal hunter3",
    code: 0,
    asks: [secret("PUT", { name: "api-key", value: "hunter3" }, accepted)],
  },
  {
    name: "update function (deploy again)",
    args: "deploy -f stack.yml",
    code: 0,
    asks: [put(GREET, accepted)],
  },
  {
    name: "deploy invalid name",
    args: flags("--name Bad_Name"),
    code: 1,
    asks: [
      put(byFlags("Bad_Name"), refused(/^validation failed: service: \(Bad_Name\) is invalid, must be a valid DNS/)),
    ],
  },
  {
    name: "deploy invalid memory",
    args: flags("--name badmem --memory-limit lots"),
    code: 1,
    asks: [
      put(byFlags("badmem", { limits: { memory: "lots" } }), notFound("badmem")),
      create(byFlags("badmem", { limits: { memory: "lots" } }), refused(/\bquantit(y|ies)\b/)),
    ],
  },
  {
    name: "deploy into unknown namespace",
    args: flags("--name x -n nowhere"),
    code: 1,
    asks: [put(byFlags("x", { namespace: "nowhere" }), refused(/\bnamespace not found: nowhere\b/))],
  },
  {
    name: "deploy by flags",
    args: flags("--name plain -e a=1 -l team=x --annotation note=y"),
    code: 0,
    asks: [put(PLAIN, notFound("plain")), create(PLAIN, accepted)],
  },
  {
    name: "describe unknown",
    args: "describe nothere",
    code: 1,
    asks: [{ line: "GET /system/function/nothere?usage=1", status: 404, facts: "" }],
  },
  {
    name: "remove",
    args: "remove greet",
    code: 0,
    asks: [remove("greet", accepted)],
    alsoAsks: ["GET /system/queue?function=greet"],
  },
  {
    name: "remove unknown",
    args: "remove nothere",
    code: 1,
    asks: [remove("nothere", notFound("nothere"))],
    alsoAsks: ["GET /system/queue?function=nothere"],
  },
  {
    name: "secret remove",
    args: "secret remove api-key",
    code: 0,
    asks: [secret("DELETE", { name: "api-key" }, accepted)],
  },
  {
    name: "secret remove unknown",
    args: "secret remove api-key",
    code: 1,
    asks: [secret("DELETE", { name: "api-key" }, { status: 404, facts: /\bapi-key\b.* not found/ })],
  },
  { name: "ready", args: "ready --attempts 1", code: 0, asks: [{ line: "GET /healthz", status: 200, facts: "" }] },
  {
    name: "login, wrong password",
    args: "login --password-stdin",
    input: "wrong",
    code: 1,
    asks: [
      {
        line: "GET /system/functions",
        head: ["Authorization: Basic eDp5"],
        status: 401,
        headers: { ...TEXT, "www-authenticate": 'Basic realm="Restricted"' },
        facts: "invalid credentials",
      },
    ],
  },
  {
    name: "logs, not following",
    args: "logs plain --tail 3 --follow=false",
    code: 0,
    asks: [
      {
        line: "GET /system/logs?name=plain&follow=false&tail=3",
        status: 200,
        // Whether the replica has said something by now is a matter of time.
        facts: /^(\{"name":"plain",.*"text":.*\}\n)*$/,
      },
    ],
  },
];

/** The exchange as a row, named for its command and its place there. */
export function rowOf({ name }: Command, index: number, exchange: Exchange): Row {
  const { line, head = [], sends, status, headers = {}, facts } = exchange;
  const isJson = typeof sends === "object";
  const body = isJson ? JSON.stringify(sends) : sends;
  const bytes = request(line, [...head, ...(isJson ? ["Content-Type: application/json"] : [])], body);
  return [index === 0 ? name : `${name}, ${index + 1}`, bytes, status, headers, facts];
}

export const CLI_ROWS: readonly Row[] = COMMANDS.flatMap((command) =>
  command.asks.map((exchange, index) => rowOf(command, index, exchange)),
);
