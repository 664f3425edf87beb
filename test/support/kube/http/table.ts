import type { PrinterColumn, Resource } from "../resources.ts";
import { type Fields, isFields, type KubeObject } from "../types.ts";

const NAME: PrinterColumn = { name: "Name", type: "string", jsonPath: ".metadata.name" };
const AGE: PrinterColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

/** The table that `kubectl get` shows: a kind's own columns where it declares some. */
export function tableOf(resource: Resource, objects: readonly KubeObject[], metadata: Fields): Fields {
  const columns = [NAME, ...(resource.columns.length === 0 ? [AGE] : resource.columns)];
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata,
    columnDefinitions: columns.map(({ name, type, description = "", priority = 0 }) => ({
      name,
      type,
      format: name === "Name" ? "name" : "",
      description,
      priority,
    })),
    rows: objects.map((object) => ({
      cells: columns.map(({ jsonPath }) => findAll(object, jsonPath)[0] ?? null),
      object: { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata },
    })),
  };
}

const STEP = /\.((?:\\.|[^.[\]\\])+)|\[\?\(@\.(\w+)==["']([^"']*)["']\)\]|\[["']([^"']*)["']\]|\[(\d+|\*)\]/gy;

/** Values at a JSON path, of the kind that columns use: fields, items, and items with a field of some value. */
export function findAll(object: unknown, path: string): unknown[] {
  let values: unknown[] = [object];
  for (const [, field, key, wanted, quoted, index] of path.matchAll(STEP)) {
    values = values.flatMap((value) => {
      if (key !== undefined) return listOf(value).filter((item) => isFields(item) && item[key] === wanted);
      if (index !== undefined)
        return index === "*" ? listOf(value) : listOf(value).slice(Number(index), Number(index) + 1);
      const name = quoted ?? (field as string).replaceAll("\\", "");
      return isFields(value) && value[name] !== undefined ? [value[name]] : [];
    });
  }
  return values;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
