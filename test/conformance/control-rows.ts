import { expect } from "@jest/globals";
import { ABSENT, including, JSON_TYPE, json, listing, NO_ROUTE, notListing, type Row, request, TEXT } from "./facts.ts";
import { settings } from "./settings.ts";
import { REFLECT } from "./target.ts";

/*
 * The routes that control the platform, with a password. In the order they are asked: one function, `reflect`, is
 * there before, and later rows build on earlier ones.
 */

/** Of `reflect`; two replicas at most, so that orders to scale it start no more. */
export const REFLECT_DEPLOYMENT = { service: "reflect", ...REFLECT, labels: { "com.openfaas.scale.max": "2" } };
const LISTED = {
  name: "reflect",
  image: REFLECT.image,
  namespace: settings.namespace,
  replicas: 1,
  availableReplicas: 1,
  labels: { faas_function: "reflect" },
  annotations: { "prometheus.io.scrape": "false" },
  createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/),
};

const get = (path: string) => request(`GET ${path}`);
const accepted = [202, {}, ""] as const;
const notAllowed = [405, {}, ""] as const;
const refused = (text: RegExp | string) => [400, TEXT, text] as const;

/** What only a gateway serves. */
const GATEWAY: readonly Row[] = [
  ["healthz HEAD", request("HEAD /healthz"), ...notAllowed],
  ["root", get("/"), 307, { location: "/ui/", "content-type": "text/html; charset=utf-8" }, /<a href="\/ui\/">/],
  ["ui", get("/ui/"), 401, { "www-authenticate": 'Basic realm="Restricted"' }, "invalid credentials"],
  ["ui without slash", get("/ui"), ...NO_ROUTE],
  [
    "info",
    get("/system/info"),
    200,
    JSON_TYPE,
    {
      provider: {
        provider: expect.any(String),
        orchestration: expect.any(String),
        version: { sha: expect.any(String), release: expect.any(String) },
      },
      version: { commit_message: expect.any(String), sha: expect.any(String), release: expect.any(String) },
      arch: expect.any(String),
    },
  ],
  [
    "async known",
    request("POST /async-function/reflect", ["X-Callback-Url: http://127.0.0.1:1/cb"], "hi"),
    202,
    { "x-call-id": /^[\w-]+$/ },
    "",
  ],
  ["async unknown", request("POST /async-function/nope", [], "hi"), 404, TEXT, /^error finding function nope\b/],
  ["async GET", get("/async-function/reflect"), 404, TEXT, /"reflect"/],
];

/** Orders of Prometheus' Alertmanager, which a gateway turns into numbers of replicas. */
const ALERTS: readonly Row[] = [
  ["alert, empty", json("POST /system/alert", "{}"), 200, {}, ""],
  [
    "alert, firing",
    json("POST /system/alert", {
      receiver: "scale-up",
      status: "firing",
      alerts: [
        {
          status: "firing",
          labels: { alertname: "APIHighInvocationRate", function_name: `reflect.${settings.namespace}` },
        },
      ],
    }),
    200,
    {},
    "",
  ],
];

const FUNCTIONS: readonly Row[] = [
  ["list", get("/system/functions"), 200, JSON_TYPE, listing(LISTED)],
  ["list by namespace", get(`/system/functions?namespace=${settings.namespace}`), 200, JSON_TYPE, listing(LISTED)],
  ["list of another namespace", get("/system/functions?namespace=elsewhere"), ...refused(/\bnamespace\b.*elsewhere/)],
  ["functions trailing slash", get("/system/functions/"), ...NO_ROUTE],
  ["functions PATCH", json("PATCH /system/functions", "{}"), ...notAllowed],
  ["one", get("/system/function/reflect"), 200, JSON_TYPE, { ...LISTED, usage: ABSENT }],
  ["one with usage", get("/system/function/reflect?usage=1"), 200, JSON_TYPE, LISTED],
  ["one unknown", get("/system/function/nope"), 404, {}, ""],
  ["one, suffix in name", get(`/system/function/reflect.${settings.namespace}`), 404, {}, ""],
  [
    "create, empty body",
    request("POST /system/functions", ["Content-Type: application/json"]),
    ...refused("failed to unmarshal request: unexpected end of JSON input\n"),
  ],
  ["create, not JSON", json("POST /system/functions", "{nope"), ...refused(/^failed to unmarshal request: .+\n$/)],
  [
    "create, no service",
    json("POST /system/functions", { image: "x" }),
    ...refused(/^validation failed: service: is required/),
  ],
  [
    "create, no image",
    json("POST /system/functions", { service: "noimage" }),
    ...refused("validation failed: image: is required\n"),
  ],
  [
    "create, existing",
    json("POST /system/functions", REFLECT_DEPLOYMENT),
    409,
    TEXT,
    /\breflect\b.* already exists\n$/,
  ],
  ["create, unknown field", json("POST /system/functions", { service: "extra", ...REFLECT, nonsense: 1 }), ...accepted],
  [
    "create, wrong type",
    json("POST /system/functions", { service: "wrong", ...REFLECT, envVars: ["a"] }),
    ...refused(/^failed to unmarshal request: .*\benvVars\b/),
  ],
  [
    "update, unknown function",
    json("PUT /system/functions", { service: "nope", ...REFLECT }),
    404,
    TEXT,
    /\bnope\b.* not found\n$/,
  ],
  [
    "update",
    json("PUT /system/functions", { ...REFLECT_DEPLOYMENT, labels: { ...REFLECT_DEPLOYMENT.labels, a: "b" } }),
    ...accepted,
  ],
  [
    "delete, empty body",
    request("DELETE /system/functions", ["Content-Type: application/json"]),
    ...refused(/^failed to unmarshal request: /),
  ],
  ["delete unknown", json("DELETE /system/functions", { functionName: "nope" }), 404, TEXT, /\bnope\b.* not found\s*$/],
  ["delete extra", json("DELETE /system/functions", { functionName: "extra" }), ...accepted],
];

const SCALING: readonly Row[] = [
  ["scale to 2", json("POST /system/scale-function/reflect", { serviceName: "reflect", replicas: 2 }), ...accepted],
  [
    "scale to 0",
    json("POST /system/scale-function/extra", { serviceName: "extra", replicas: 0 }),
    404,
    TEXT,
    /\bextra\b.* not found\n$/,
  ],
  [
    "scale unknown",
    json("POST /system/scale-function/nope", { serviceName: "nope", replicas: 1 }),
    404,
    TEXT,
    /\bnope\b.* not found\n$/,
  ],
  [
    "scale, not JSON",
    json("POST /system/scale-function/reflect", "x"),
    ...refused(/^Error unmarshalling request body\b/),
  ],
  ["scale GET", get("/system/scale-function/reflect"), ...notAllowed],
];

const secret = (method: string, value: object) => json(`${method} /system/secrets`, value);

const SECRETS: readonly Row[] = [
  ["namespaces", get("/system/namespaces"), 200, JSON_TYPE, including(settings.namespace)],
  ["secrets", get("/system/secrets"), 200, JSON_TYPE, notListing("probe")],
  ["secret create", secret("POST", { name: "probe", value: "v" }), ...accepted],
  ["secret create again", secret("POST", { name: "probe", value: "v" }), 409, TEXT, /\bprobe\b.* already exists/],
  ["secret without name", secret("POST", { value: "v" }), ...refused(/\bname\b/)],
  ["secret bad name", secret("POST", { name: "Bad_Name!", value: "v" }), 422, TEXT, /\bname\b.*Bad_Name!/],
  ["secret update", secret("PUT", { name: "probe", value: "w" }), ...accepted],
  ["secret update unknown", secret("PUT", { name: "nosuch", value: "w" }), 404, TEXT, /\bnosuch\b.* not found/],
  ["secret delete", secret("DELETE", { name: "probe" }), ...accepted],
  ["secret delete unknown", secret("DELETE", { name: "probe" }), 404, TEXT, /\bprobe\b.* not found/],
];

const LOGS: readonly Row[] = [
  ["logs without name", get("/system/logs"), 422, TEXT, /\bname\b/],
  ["logs", get("/system/logs?name=reflect&follow=false&tail=2"), 200, {}, undefined],
  ["logs bad tail", get("/system/logs?name=reflect&follow=false&tail=x"), 422, TEXT, /\btail\b/],
  ["logs bad since", get("/system/logs?name=reflect&follow=false&since=x"), 422, TEXT, /\bsince\b/],
];

/** What a provider serves as well as a gateway, so that either works with one of OpenFaaS's. */
export const PROVIDER_ROWS: readonly Row[] = [
  ["healthz", get("/healthz"), 200, {}, ""],
  ["healthz POST", request("POST /healthz"), ...notAllowed],
  ["unknown route", get("/nothing"), ...NO_ROUTE],
  ["info POST", request("POST /system/info"), ...notAllowed],
  ...FUNCTIONS,
  ...SCALING,
  ...SECRETS,
  ...LOGS,
];

export const CONTROL_ROWS: readonly Row[] = [...GATEWAY, ...PROVIDER_ROWS, ...ALERTS];
