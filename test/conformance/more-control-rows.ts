import { expect } from "@jest/globals";
import type { Differences } from "../compat/differences.ts";
import { ABSENT, JSON_TYPE, json, type Row, request, TEXT } from "./facts.ts";
import { NAMESPACE_ROWS } from "./namespace-rows.ts";
import { settings } from "./settings.ts";
import { ECHO } from "./target.ts";

/*
 * Control routes as OpenFaaS documents them and its clients use them, beyond what was recorded of the original. In the
 * order they are asked: one function, `extra`, is there before.
 */

const get = (path: string) => request(`GET ${path}`);
const accepted = [202, {}, ""] as const;
const notAllowed = [405, {}, ""] as const;
const refused = (text: RegExp | string) => [400, TEXT, text] as const;
const moved = (location: string) => [301, { location }, ""] as const;
/** What faas-cli takes for success of an order, and an empty body. */
const deployment = (more: object) => ({ service: "extra", ...ECHO, ...more });

const PATHS: readonly Row[] = [
  [
    "control path with a double slash",
    get("//system//functions?namespace=a//b"),
    ...moved("/system/functions?namespace=a//b"),
  ],
  ["control path with dot segments", get("/system/x/../functions"), ...moved("/system/functions")],
  ["control path with a dot", get("/./healthz"), ...moved("/healthz")],
  ["scale with a trailing slash", request("POST /system/scale-function/extra/"), 404, TEXT],
  ["info with a trailing slash", get("/system/info/"), 404, TEXT],
  ["telemetry, which only some providers have", get("/system/telemetry"), 404, TEXT],
  [
    "control request of another page",
    request("GET /system/functions", ["Origin: http://a.test"]),
    403,
    { "access-control-allow-origin": ABSENT },
  ],
  [
    "no CORS for functions",
    request("GET /function/extra", ["Origin: http://a.test"]),
    200,
    { "access-control-allow-origin": ABSENT },
  ],
];

const METHODS: readonly Row[] = [
  ...["PUT", "DELETE", "PATCH"].map(
    (method): Row => [`info ${method}`, json(`${method} /system/info`, {}), ...notAllowed],
  ),
  ["one POST", json("POST /system/function/extra", {}), ...notAllowed],
  ["one DELETE", json("DELETE /system/function/extra", {}), ...notAllowed],
  ["scale PUT", json("PUT /system/scale-function/extra", {}), ...notAllowed],
  ["secrets PATCH", json("PATCH /system/secrets", {}), ...notAllowed],
  ["logs POST", json("POST /system/logs", {}), ...notAllowed],
  ["namespaces POST", json("POST /system/namespaces", {}), ...notAllowed],
  ["alert GET", get("/system/alert"), ...notAllowed],
  ["healthz PUT", request("PUT /healthz"), ...notAllowed],
  ["async PUT", request("PUT /async-function/extra"), ...notAllowed],
  ["async PATCH", request("PATCH /async-function/extra"), ...notAllowed],
];

const FUNCTIONS: readonly Row[] = [
  [
    "create, name with a dot",
    json("POST /system/functions", deployment({ service: "a.b" })),
    ...refused(/^validation failed: service: \(a\.b\) is invalid/),
  ],
  [
    "create, name with a slash",
    json("POST /system/functions", deployment({ service: "a/b" })),
    ...refused(/^validation failed: service: \(a\/b\) is invalid/),
  ],
  [
    "create, name that starts with a hyphen",
    json("POST /system/functions", deployment({ service: "-a" })),
    ...refused(/^validation failed: service: /),
  ],
  [
    "create, name that starts with a digit",
    json("POST /system/functions", deployment({ service: "1a" })),
    ...refused(/^validation failed: service: /),
  ],
  [
    "create, name of 64 characters",
    json("POST /system/functions", deployment({ service: "a".repeat(64) })),
    ...refused(/^validation failed: service: /),
  ],
  [
    "create, empty name",
    json("POST /system/functions", deployment({ service: "" })),
    ...refused(/^validation failed: service: /),
  ],
  [
    "create, missing secret",
    json("POST /system/functions", deployment({ service: "fresh", secrets: ["nosuch"] })),
    ...refused(/unable to fetch secrets: secrets "nosuch" not found/),
  ],
  [
    "create, bad quantity",
    json("POST /system/functions", deployment({ service: "fresh", limits: { memory: "lots" } })),
    ...refused(/\bquantit(y|ies)\b/),
  ],
  [
    "create, null maps",
    json("PUT /system/functions", deployment({ labels: null, annotations: null, limits: null, requests: null })),
    ...accepted,
  ],
  [
    "create, deprecated fields",
    json("PUT /system/functions", deployment({ registryAuth: "x", network: "func_functions" })),
    ...accepted,
  ],
  ["update, not JSON", json("PUT /system/functions", "{nope"), ...refused(/^(failed|unable) to unmarshal request: /)],
  [
    "update, no service",
    json("PUT /system/functions", { image: "x" }),
    ...refused(/^validation failed: service: is required/),
  ],
  [
    "update, no image",
    json("PUT /system/functions", { service: "extra" }),
    ...refused(/^validation failed: image: is required/),
  ],
  [
    "update, missing secret",
    json("PUT /system/functions", deployment({ secrets: ["nosuch"] })),
    ...refused(/secrets? "nosuch" not found/),
  ],
  [
    "update, bad quantity",
    json("PUT /system/functions", deployment({ limits: { memory: "lots" } })),
    ...refused(/\bquantit(y|ies)\b/),
  ],
  ["delete, no name", json("DELETE /system/functions", {}), ...refused(/\bfunctionName\b/)],
  ["delete, empty name", json("DELETE /system/functions", { functionName: "" }), ...refused(/\bfunctionName\b/)],
  ["delete, not JSON", json("DELETE /system/functions", "{nope"), ...refused(/./)],
  [
    "delete unknown, namespace in the body",
    json("DELETE /system/functions", { functionName: "nope", namespace: settings.namespace }),
    404,
    TEXT,
    /\bnope\b/,
  ],
  [
    "delete unknown, namespace in the query",
    json(`DELETE /system/functions?namespace=${settings.namespace}`, { functionName: "nope" }),
    404,
    TEXT,
    /\bnope\b/,
  ],
  // faas-cli deploy --update=false --replace
  ["replace: create", json("POST /system/functions", deployment({ service: "replaced" })), ...accepted],
  ["replace: delete", json("DELETE /system/functions", { functionName: "replaced" }), ...accepted],
  ["replace: create at once", json("POST /system/functions", deployment({ service: "replaced" })), ...accepted],
  [
    "one by namespace",
    get(`/system/function/extra?namespace=${settings.namespace}`),
    200,
    JSON_TYPE,
    { name: "extra" },
  ],
  ["one, usage=true", get("/system/function/extra?usage=true"), 200, JSON_TYPE, { name: "extra" }],
  ["one never tells its calls", get("/system/function/extra"), 200, JSON_TYPE, { invocationCount: ABSENT }],
];

const scale = (body: object, query = "") => json(`POST /system/scale-function/extra${query}`, body);

const SCALING: readonly Row[] = [
  [
    "scale, namespace in the query",
    scale({ serviceName: "extra", replicas: 1 }, `?namespace=${settings.namespace}`),
    ...accepted,
  ],
  [
    "scale, namespace in the body",
    scale({ serviceName: "extra", replicas: 1, namespace: settings.namespace }),
    ...accepted,
  ],
  ["scale, no service name", scale({ replicas: 1 }), ...accepted],
  [
    "scale to less than none",
    scale({ serviceName: "extra", replicas: -1 }),
    ...refused(/^Error unmarshalling request body/),
  ],
  [
    "scale, number as text",
    scale({ serviceName: "extra", replicas: "two" }),
    ...refused(/^Error unmarshalling request body/),
  ],
];

const secret = (method: string, value: object | string, query = "") => json(`${method} /system/secrets${query}`, value);

const SECRETS: readonly Row[] = [
  ["secret, not JSON", secret("POST", "{nope"), 400, {}],
  ["secret update, not JSON", secret("PUT", "{nope"), 400, {}],
  ["secret delete, not JSON", secret("DELETE", "{nope"), 400, {}],
  ["secret, empty name", secret("POST", { name: "", value: "v" }), ...refused(/\bname\b/)],
  ["secret, name that leaves its folder", secret("POST", { name: "../x", value: "v" }), 422, TEXT, /\bname\b/],
  ["secret for what follows", secret("POST", { name: "probe", value: "v" }), ...accepted],
  ["secret, empty namespace", secret("PUT", { name: "probe", namespace: "", value: "w" }), ...accepted],
  ["secret by namespace", get(`/system/secrets?namespace=${settings.namespace}`), 200, JSON_TYPE, listed],
  ["secret update by bytes", secret("PUT", { name: "probe", rawValue: "AAEC" }), ...accepted],
  ["secret, bytes that are not base64", secret("PUT", { name: "probe", rawValue: "%%" }), 400, TEXT, /\brawValue\b/],
  [
    "secret delete, namespace in the query",
    secret("DELETE", { name: "probe" }, `?namespace=${settings.namespace}`),
    ...accepted,
  ],
];

/** Names and namespaces, and never a value. */
function listed(body: string): void {
  const mine = (JSON.parse(body) as { name: string }[]).filter(({ name }) => name === "probe");
  expect(mine).toEqual([{ name: "probe", namespace: settings.namespace }]);
}

const logs = (query: string) => get(`/system/logs?${query}`);
const LINES = /^(\{"name":"extra",.*\}\n)*$/;

const LOGS: readonly Row[] = [
  ["logs are JSON lines", logs("name=extra&follow=false"), 200, { "content-type": "application/x-ndjson" }, LINES],
  ["logs by namespace", logs(`name=extra&follow=0&namespace=${settings.namespace}`), 200, {}, LINES],
  ["logs, tail of no lines is all of them", logs("name=extra&follow=f&tail=-1"), 200, {}, LINES],
  ["logs since a time", logs("name=extra&follow=False&since=2026-01-01T00:00:00Z"), 200, {}, LINES],
  [
    "logs since an hour of another zone",
    logs("name=extra&follow=false&since=2026-01-01T00%3A00%3A00%2B01%3A00"),
    200,
    {},
    LINES,
  ],
  [
    "logs, of a repeated parameter the last counts",
    logs("name=nope&name=extra&follow=true&follow=false"),
    200,
    {},
    LINES,
  ],
  ["logs, what follow says is no truth value", logs("name=extra&follow=perhaps"), 200, {}, LINES],
  ["logs of one instance", logs("name=extra&follow=false&instance=x"), 200, {}, LINES],
  ["logs of an unknown function", logs("name=nope&follow=false"), 404, TEXT, /\bnope\b/],
];

const alert = (alerts: readonly object[]) =>
  json("POST /system/alert", { receiver: "scale-up", status: "firing", alerts });

const ALERTS: readonly Row[] = [
  ["alert, not JSON", json("POST /system/alert", "{nope"), ...refused(/^Unable to parse alert/)],
  ["alert, no function", alert([{ status: "firing", labels: { alertname: "a" } }]), 200, {}, ""],
  [
    "alert, unknown function",
    alert([{ status: "firing", labels: { alertname: "a", function_name: "nope.x" } }]),
    200,
    {},
    "",
  ],
  [
    "alert, fields that nobody knows",
    json("POST /system/alert", { version: "4", groupKey: "{}", truncatedAlerts: 0, alerts: [] }),
    200,
    {},
    "",
  ],
];

export const MORE_CONTROL_ROWS: readonly Row[] = [
  ...PATHS,
  ...METHODS,
  ...FUNCTIONS,
  ...SCALING,
  ...SECRETS,
  ...LOGS,
  ...ALERTS,
  ...NAMESPACE_ROWS,
];

const ONE_NAMESPACE = { original: "allows one namespace", why: "there can be several" };
const OWN_MISTAKE = "what the client left out or got wrong is the client's error, and it is told which";
const EMPTY = { original: "has no body, or another status", why: OWN_MISTAKE };

/** Where we do better, of these rows. */
export const BETTER: Differences = {
  ...Object.fromEntries(NAMESPACE_ROWS.map(([name]) => [name, ONE_NAMESPACE])),
  "control request of another page": { original: 200, why: "pages of other sites have no business with the platform" },
  "async PUT": { original: "knows no such route without a queue", why: "there is a queue" },
  "async PATCH": { original: "knows no such route without a queue", why: "there is a queue" },
  "create, name that starts with a digit": {
    original: "makes half of the function",
    why: "a name that the Service cannot have is refused before anything is made",
  },
  "create, name of 64 characters": {
    original: "makes half of the function",
    why: "a name that the Service cannot have is refused before anything is made",
  },
  "update, bad quantity": { original: 200, why: "what is not applied is no success" },
  "delete, no name": EMPTY,
  "delete, empty name": EMPTY,
  "delete, not JSON": EMPTY,
  "delete unknown, namespace in the body": { original: "reads the query only", why: "clients put it in either place" },
  "replace: create at once": {
    original: "says that the name is taken, until what was deleted is gone",
    why: "a function that is deleted does not stand in the way of the next",
  },
  "scale, namespace in the body": { original: "reads the query only", why: "clients put it in either place" },
  "secret, empty name": { original: 500, why: OWN_MISTAKE },
  "secret, name that leaves its folder": EMPTY,
  "secret, empty namespace": { original: 400, why: "an empty namespace is none, as elsewhere" },
  "secret, bytes that are not base64": EMPTY,
  "logs are JSON lines": { original: "guesses text/plain", why: "what the lines are is known" },
  "logs of an unknown function": { original: 500, why: "what does not exist is no fault of the server" },
};
