import { isDnsLabel } from "../../contract/names.ts";
import { RESOURCE_KINDS, type StackResource, type StackResourceKind } from "./types.ts";
import type { YamlReader, YamlValue } from "./yaml-reader.ts";

/** Of all kinds together. */
const MAX_RESOURCES = 2_000;

/**
 * Reads `brokers`, `sinks`, `triggers`, `flows` and `sources`: each a mapping from names to what the gateway takes, and
 * `namespace` besides. Clients that do not know these keys ignore them. What is in the specs is for `checkStackResources` to judge.
 * @throws {CliError} beginning with `file:line:column`
 */
export function readStackResources(reader: YamlReader, top: ReadonlyMap<string, YamlValue>): StackResource[] {
  const resources = RESOURCE_KINDS.flatMap((kind) => {
    const block = top.get(`${kind}s`);
    return block ? [...reader.entries(block)].map(([name, value]) => readResource(reader, kind, name, value)) : [];
  });
  const surplus = resources[MAX_RESOURCES];
  if (surplus) {
    const block = top.get(`${surplus.kind}s`) as YamlValue;
    reader.fail(block, `there are more than ${MAX_RESOURCES} brokers, sinks, triggers, flows and sources`);
  }
  return resources;
}

function readResource(reader: YamlReader, kind: StackResourceKind, name: string, value: YamlValue): StackResource {
  if (!isDnsLabel(name)) {
    reader.fail(value, "the name must be at most 63 of a-z, 0-9 and -, which neither begins nor ends it");
  }
  const fields = reader.entries(value);
  const namespace = reader.text(fields.get("namespace"));
  if (namespace !== undefined && namespace !== "" && !isDnsLabel(namespace)) {
    reader.fail(fields.get("namespace") as YamlValue, "must be a DNS label");
  }
  const given = [...fields].filter(([field]) => field !== "namespace");
  const spec = Object.fromEntries(given.map(([field, entry]) => [field, reader.json(entry)]));
  const places = Object.fromEntries([...fields].map(([field, entry]) => [field, reader.place(entry)]));
  return { kind, name, ...(namespace && { namespace }), spec, place: reader.place(value), places };
}
