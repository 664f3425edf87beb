import { JSON_TYPE, json, type Row, request, TEXT } from "./facts.ts";
import { ECHO } from "./target.ts";

const get = (path: string) => request(`GET ${path}`);
const accepted = [202, {}, ""] as const;
const refused = (text: RegExp) => [400, TEXT, text] as const;
const secret = (method: string, value: object) => json(`${method} /system/secrets`, value);
const namespace = (method: string, name: string, body: object) => json(`${method} /system/namespace/${name}`, body);
const OURS = { labels: { openfaas: "1" }, annotations: { openfaas: "1" } };

/** Of one that is made for them and taken away again; in the order they are asked. */
export const NAMESPACE_ROWS: readonly Row[] = [
  ["namespace create", namespace("POST", "", { name: "conformance", ...OURS }), 201, {}, ""],
  [
    "namespace create again",
    namespace("POST", "", { name: "conformance", ...OURS }),
    409,
    TEXT,
    /\bconformance\b.* already exists/,
  ],
  ["namespace create, no name", namespace("POST", "", OURS), ...refused(/\bname\b/)],
  ["namespace one", get("/system/namespace/conformance"), 200, JSON_TYPE, { name: "conformance" }],
  ["namespace one unknown", get("/system/namespace/nosuch"), 404, TEXT, "namespace nosuch not found\n"],
  [
    "namespace update",
    namespace("PUT", "conformance", { name: "conformance", labels: { openfaas: "1", a: "b" } }),
    ...accepted,
  ],
  ["namespace has what the update said", get("/system/namespace/conformance"), 200, JSON_TYPE, { labels: { a: "b" } }],
  [
    "namespace update, another name",
    namespace("PUT", "conformance", { name: "other", ...OURS }),
    ...refused(/^namespace in request body does not match/),
  ],
  ["namespace update unknown", namespace("PUT", "nosuch", { name: "nosuch", ...OURS }), 404, TEXT, /\bnosuch\b/],
  [
    "function in the namespace",
    json("POST /system/functions", { service: "inside", namespace: "conformance", ...ECHO }),
    ...accepted,
  ],
  ["functions of the namespace", get("/system/functions?namespace=conformance"), 200, JSON_TYPE, /"name":"inside"/],
  [
    "delete there, namespace in the query",
    json("DELETE /system/functions?namespace=conformance", { functionName: "inside" }),
    ...accepted,
  ],
  ["secret in the namespace", secret("POST", { name: "probe", namespace: "conformance", value: "v" }), ...accepted],
  ["secret there, not in the default namespace", secret("DELETE", { name: "probe" }), 404, TEXT],
  ["secret delete, namespace in the body", secret("DELETE", { name: "probe", namespace: "conformance" }), ...accepted],
  [
    "namespace delete",
    namespace("DELETE", "conformance", { name: "conformance", labels: { openfaas: "1" } }),
    ...accepted,
  ],
  ["namespace delete unknown", namespace("DELETE", "nosuch", { name: "nosuch", labels: { openfaas: "1" } }), 404, TEXT],
];
