import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { execute, type Functions, type Scope } from "./evaluate-template.ts";
import { type Node, parseTemplate, TemplateError } from "./parse-template.ts";
import { FUNCTIONS } from "./template-functions.ts";

export type Values = { readonly [name: string]: unknown };

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string } & Values;
  readonly [field: string]: unknown;
}

export interface Release {
  readonly name: string;
  readonly namespace: string;
}

export interface RenderedChart {
  /** Text of each template by its name, without those that gave nothing. */
  readonly files: ReadonlyMap<string, string>;
  readonly objects: readonly KubernetesObject[];
  /** What Helm prints after an installation. */
  readonly notes: string;
}

const isMap = (value: unknown): value is Values => typeof value === "object" && value !== null && !Array.isArray(value);

/** Values over the chart's own, map by map, as `helm -f` does. */
export function mergeValues(base: Values, over: Values): Values {
  const merged = Object.entries(over).map(([key, value]) => {
    const below = base[key];
    return [key, isMap(below) && isMap(value) ? mergeValues(below, value) : value];
  });
  return { ...base, ...Object.fromEntries(merged) };
}

export function readValues(chart: string): Values {
  return parse(readFileSync(join(chart, "values.yaml"), "utf8")) as Values;
}

function chartOf(folder: string): Values {
  const chart = parse(readFileSync(join(folder, "Chart.yaml"), "utf8")) as Record<string, unknown>;
  // Helm gives templates the fields with a capital letter.
  return Object.fromEntries(Object.entries(chart).map(([key, value]) => [key[0]?.toUpperCase() + key.slice(1), value]));
}

/** Wraps what a template throws, so that it says where. */
function within<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new TemplateError(`${name}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * What Helm would make of the chart in `folder`, by as much of its template language as the chart uses. A value that
 * `values.yaml` does not have is an error, where Helm takes it for empty.
 * @param extra functions instead of those that only an installation has, such as `lookup`
 * @throws {TemplateError} naming the template
 */
export function renderChart(folder: string, over: Values, release: Release, extra: Functions = {}): RenderedChart {
  const templates = new Map<string, Node[]>();
  const named = new Map<string, readonly Node[]>();
  for (const file of readdirSync(join(folder, "templates")).sort()) {
    const nodes = parseTemplate(readFileSync(join(folder, "templates", file), "utf8"), file);
    templates.set(file, nodes);
    for (const node of nodes) if (node.kind === "define") named.set(node.name, node.body);
  }
  const root = {
    Values: mergeValues(readValues(folder), over),
    Chart: chartOf(folder),
    Release: { Name: release.name, Namespace: release.namespace, Service: "Helm" },
  };
  const run = (nodes: readonly Node[], dot: unknown): string => {
    const scope: Scope = { dot, root: dot, variables: new Map() };
    return execute(nodes, scope, functions);
  };
  const functions: Functions = {
    ...FUNCTIONS,
    ...extra,
    include: (name, dot) => {
      const body = named.get(String(name));
      if (!body) throw new TemplateError(`there is no template ${String(name)}`);
      return run(body, dot);
    },
  };
  const rendered = [...templates].map(([file, nodes]) => [file, within(file, () => run(nodes, root))] as const);
  const files = rendered.filter(([file, text]) => file.endsWith(".yaml") && text.trim() !== "");
  const objects = files.flatMap(([file, text]) => within(file, () => parseObjects(text)));
  const notes = rendered.find(([file]) => file === "NOTES.txt")?.[1] ?? "";
  return { files: new Map(files), objects, notes };
}

function parseObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    const [error] = document.errors;
    if (error) throw error;
    const object = document.toJS() as KubernetesObject | null;
    return object ? [object] : [];
  });
}
