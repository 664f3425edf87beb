import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../support/platform.ts";

/** Part of an OpenAPI v3 schema. */
export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly [extension: `x-kubernetes-${string}`]: unknown;
}

interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
}

type Definitions = ReadonlyMap<string, Schema>;

const FOLDER = join(ROOT, "../shared/kubernetes/openapi");

/** Why unknown fields are not looked for; undefined when they are. */
export const noOpenApi: string | undefined = existsSync(FOLDER)
  ? undefined
  : "the API's OpenAPI documents are not on this machine";

/** Schemas as an API server publishes them, which lie beside the project; empty where they are missing. */
export function readOpenApi(): Definitions {
  if (noOpenApi) return new Map();
  return new Map(
    readdirSync(FOLDER).flatMap((file) => {
      const { components } = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as {
        components: { schemas: Record<string, Schema> };
      };
      return Object.entries(components.schemas);
    }),
  );
}

function typeFits(type: string, value: unknown): boolean {
  switch (type) {
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    default:
      return (typeof value as string) === type;
  }
}

/** What of `value` the schema does not allow, one line each; a field it does not know is not allowed. */
export function schemaProblems(schema: Schema, value: unknown, definitions: Definitions, path = ""): string[] {
  const resolved = resolve(schema, definitions);
  const { type, properties, additionalProperties, items, required = [], oneOf, anyOf } = resolved;
  const choices = oneOf ?? anyOf;
  if (choices?.every((choice) => schemaProblems(choice, value, definitions, path).length > 0)) {
    return [`${path}: fits none of its schemas`];
  }
  if (type !== undefined && !typeFits(type, value)) return [`${path}: is no ${type}: ${JSON.stringify(value)}`];
  if (resolved.enum && !resolved.enum.includes(value)) return [`${path}: is none of ${resolved.enum.join(", ")}`];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => schemaProblems(items ?? {}, item, definitions, `${path}[${index}]`));
  }
  if (type !== "object" || typeof value !== "object" || value === null) return [];
  const fields = value as Readonly<Record<string, unknown>>;
  const missing = required.filter((name) => fields[name] === undefined).map((name) => `${path}.${name}: is missing`);
  const nested = Object.entries(fields).flatMap(([name, field]) => {
    const below = `${path}.${name}`;
    const known = properties?.[name];
    if (known) return schemaProblems(known, field, definitions, below);
    if (typeof additionalProperties === "object") {
      return schemaProblems(additionalProperties, field, definitions, below);
    }
    const open = additionalProperties === true || resolved["x-kubernetes-preserve-unknown-fields"] === true;
    return open || !properties ? [] : [`${below}: is unknown`];
  });
  return [...missing, ...nested];
}

function resolve(schema: Schema, definitions: Definitions): Schema {
  const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
  if (ref === undefined) return schema;
  const name = ref.replace("#/components/schemas/", "");
  const definition = definitions.get(name);
  if (!definition) throw new Error(`no schema is called ${name}`);
  return resolve(definition, definitions);
}

interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

function schemaOf({ apiVersion = "", kind = "" }: KubernetesObject, definitions: Definitions): Schema | undefined {
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  return [...definitions.values()].find((schema) =>
    (schema["x-kubernetes-group-version-kind"] as readonly Kind[] | undefined)?.some(
      (gvk) => gvk.group === group && gvk.version === version && gvk.kind === kind,
    ),
  );
}

interface Model {
  validate(): void;
}

async function modelProblems(object: KubernetesObject): Promise<string[]> {
  const { apiVersion = "", kind = "" } = object;
  const models = (await import(`kubernetes-models/${apiVersion}/${kind}`)) as Record<string, new (o: unknown) => Model>;
  const Kind = models[kind];
  if (!Kind) return [`${apiVersion} ${kind} is not known`];
  try {
    new Kind(object).validate();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/**
 * What the API server would not take of `object`, by the schemas of kubernetes-models and, where its own are at hand,
 * by those too, with unknown fields refused.
 */
export async function objectProblems(object: KubernetesObject, definitions: Definitions): Promise<string[]> {
  // What is sent is JSON: undefined fields are not.
  const sent = JSON.parse(JSON.stringify(object)) as KubernetesObject;
  const schema = schemaOf(sent, definitions);
  if (!schema && definitions.size > 0) return [`${sent.apiVersion} ${sent.kind}: no schema`];
  return [...(await modelProblems(sent)), ...(schema ? schemaProblems(schema, sent, definitions) : [])];
}
