import type { Values } from "./render-chart.ts";

type Schema = Readonly<Record<string, unknown>>;

function schemaOf(value: unknown): Schema {
  if (Array.isArray(value)) return { type: "array" };
  switch (typeof value) {
    case "object": {
      if (value === null) return {};
      // An empty map in values.yaml is for names that users choose.
      const names = Object.entries(value);
      return names.length === 0 ? { type: "object" } : objectSchema(value as Values);
    }
    case "boolean":
      return { type: "boolean" };
    case "number":
      return { type: "integer", minimum: 0 };
    default:
      // Durations in bare seconds, tags and sizes look like numbers.
      return { type: ["string", "integer", "number"] };
  }
}

function objectSchema(values: Values): Schema {
  const properties = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, schemaOf(value)]));
  return { type: "object", additionalProperties: false, properties };
}

/** What `helm install` holds a user's values against, so that a misspelt name is an error instead of having no effect. */
export function buildValuesSchema(values: Values): Schema {
  const schema = objectSchema(values) as { readonly properties: Readonly<Record<string, Schema>> };
  return {
    $schema: "https://json-schema.org/draft-07/schema#",
    ...schema,
    // Helm hands it to every chart.
    properties: { ...schema.properties, global: { type: "object" } },
  };
}
