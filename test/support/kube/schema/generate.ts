// Writes `types.json`, the fields of the kinds that the test server knows, from a folder of OpenAPI v3 documents as
// `GET /openapi/v3/…` of an API server gives them: node test/support/kube/schema/generate.ts <folder>
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface OpenApiField {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly oneOf?: readonly unknown[];
  readonly $ref?: string;
  readonly allOf?: readonly OpenApiField[];
  readonly items?: OpenApiField;
  readonly additionalProperties?: OpenApiField;
  readonly properties?: Readonly<Record<string, OpenApiField>>;
  readonly required?: readonly string[];
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: string;
  readonly "x-kubernetes-patch-merge-key"?: string;
  readonly "x-kubernetes-patch-strategy"?: string;
}

/** Kinds that are written down with all they refer to. */
const ROOTS =
  /^io\.k8s\.(api\.(core\.v1\.(Pod|Service|Secret|ConfigMap|Namespace|Event|Endpoints|Node|ServiceAccount|ResourceQuota)|apps\.v1\.(Deployment|ReplicaSet)|discovery\.v1\.EndpointSlice|coordination\.v1\.Lease|autoscaling\.v1\.Scale)|apiextensions-apiserver\.pkg\.apis\.apiextensions\.v1\.CustomResourceDefinition|apimachinery\.pkg\.apis\.meta\.v1\.DeleteOptions)$/;

const SCALARS: Readonly<Record<string, string>> = {
  "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
  "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
  "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "time",
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "intstr",
  "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
  "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
};

/** The notation of `notation.ts`, by type and field. */
export function generateTypes(folder: string): Record<string, Record<string, string>> {
  const schemas = new Map<string, OpenApiField>();
  for (const file of readdirSync(folder)) {
    const document = JSON.parse(readFileSync(join(folder, file), "utf8")) as {
      components: { schemas: Record<string, OpenApiField> };
    };
    for (const [name, schema] of Object.entries(document.components.schemas)) schemas.set(name, schema);
  }
  const types: Record<string, Record<string, string>> = {};
  const pending = [...schemas.keys()].filter((name) => ROOTS.test(name));
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const short = shortName(name);
    if (types[short] !== undefined) continue;
    const schema = schemas.get(name) as OpenApiField;
    const fields: Record<string, string> = {};
    if (schema["x-kubernetes-map-type"] === "atomic") fields["="] = "atomic";
    for (const [field, declared] of Object.entries(schema.properties ?? {})) {
      const found: string[] = [];
      const required = schema.required?.includes(field) ? "!" : "";
      fields[field] = `${notation(declared, schemas, found)}${required}`;
      pending.push(...found);
    }
    types[short] = fields;
  }
  return Object.fromEntries(Object.entries(types).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function shortName(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function notation(field: OpenApiField, schemas: ReadonlyMap<string, OpenApiField>, found: string[]): string {
  const reference = field.$ref ?? field.allOf?.[0]?.$ref;
  if (reference !== undefined) {
    const name = reference.slice(reference.lastIndexOf("/") + 1);
    const scalar = SCALARS[name];
    if (scalar !== undefined) return scalar;
    if (schemas.get(name)?.properties === undefined) return "any";
    found.push(name);
    return `${shortName(name)}${field["x-kubernetes-map-type"] === "atomic" ? "=" : ""}`;
  }
  if (field.type === "array") {
    const keys =
      field["x-kubernetes-list-type"] === "map"
        ? (field["x-kubernetes-list-map-keys"] ?? []).join(",")
        : field["x-kubernetes-list-type"] === "set"
          ? "set"
          : "";
    const strategy = field["x-kubernetes-patch-strategy"] ?? "";
    const merge = strategy.includes("merge") ? (field["x-kubernetes-patch-merge-key"] ?? "set") : "";
    return `${notation(field.items ?? {}, schemas, found)}[${keys}/${merge}]`;
  }
  if (field.additionalProperties !== undefined) {
    const atomic = field["x-kubernetes-map-type"] === "atomic" ? "=" : "";
    return `${notation(field.additionalProperties, schemas, found)}{${atomic}}`;
  }
  if (field.format === "byte") return "bytes";
  if (field.type === "integer") return field.format ?? "int64";
  if (field.type === "number") return "number";
  if (field.type === "boolean") return "bool";
  if (field.type === "string") return field.enum === undefined ? "string" : `string(${field.enum.join("|")})`;
  return "any";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("usage: node generate.ts <folder of OpenAPI documents>");
  const types = generateTypes(folder);
  writeFileSync(new URL("types.json", import.meta.url), `${JSON.stringify(types, null, 2)}\n`);
}
