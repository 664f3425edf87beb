import { formatRoutes, readRoute } from "../../contract/routes/parse-routes.ts";
import { type GivenRoute, MAX_ROUTES, normalizeRoutes } from "../../contract/routes/route.ts";
import type { YamlReader, YamlValue } from "./yaml-reader.ts";

const FIELDS: readonly string[] = [
  ...["host", "path", "exact", "methods", "headers", "version", "rewrite", "keep_path", "certificate", "issuer"],
];

/**
 * Reads `routes` of a function: a list of texts as the annotation has them, or of mappings.
 * @returns the annotation; undefined when there are none
 */
export function readStackRoutes(reader: YamlReader, value: YamlValue): string | undefined {
  const items = reader.isText(value) ? [value] : reader.items(value);
  if (items.length > MAX_ROUTES) reader.fail(value, `must be at most ${MAX_ROUTES} routes`);
  const given = items.map((item) => (reader.isText(item) ? fromText(reader, item) : fromMapping(reader, item)));
  const { routes, problems } = normalizeRoutes(given);
  const [problem] = problems;
  if (problem !== undefined) {
    const [, number = "1", rule = problem] = /^route (\d+): (.*)$/s.exec(problem) ?? [];
    reader.fail(items[Number(number) - 1] ?? value, rule);
  }
  return routes.length > 0 ? formatRoutes(routes) : undefined;
}

function fromText(reader: YamlReader, item: YamlValue): GivenRoute {
  return readRoute((reader.text(item) ?? "").trim(), (rule) => reader.fail(item, rule));
}

function fromMapping(reader: YamlReader, item: YamlValue): GivenRoute {
  const fields = reader.entries(item);
  for (const [name, field] of fields) {
    if (!FIELDS.includes(name)) reader.fail(field, `is unknown; there are ${FIELDS.join(", ")}`);
  }
  const text = (name: string) => reader.text(fields.get(name));
  const methods = reader.texts(fields.get("methods"));
  const headers = reader.textMap(fields.get("headers"));
  return {
    host: text("host"),
    path: text("path"),
    exact: reader.boolean(fields.get("exact")),
    methods: methods.length > 0 ? methods : undefined,
    headers: Object.keys(headers).length > 0 ? headers : undefined,
    version: text("version"),
    rewrite: text("rewrite"),
    keepPath: reader.boolean(fields.get("keep_path")),
    certificate: text("certificate"),
    issuer: text("issuer"),
  };
}
