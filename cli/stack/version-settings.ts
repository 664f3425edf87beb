import { toFaasError } from "../../contract/errors.ts";
import { ROUTES } from "../../contract/routes/route.ts";
import { ROLLBACK_WINDOW, VERSION_KEEP, VERSION_NAME } from "../../contract/versions/function-versions.ts";
import { parseRollout, ROLLOUT } from "../../contract/versions/rollout-settings.ts";
import {
  formatTraffic,
  parsePercent,
  parseTraffic,
  TRAFFIC,
  type TrafficTarget,
} from "../../contract/versions/traffic.ts";
import { readStackRoutes } from "./routes.ts";
import type { YamlReader, YamlValue } from "./yaml-reader.ts";

type Fields = ReadonlyMap<string, YamlValue>;

/** Fields of a function that are one annotation each, as they are. */
const PLAIN = [
  ["version_name", VERSION_NAME],
  ["version_keep", VERSION_KEEP],
  ["rollback_window", ROLLBACK_WINDOW],
] as const;

/** Fields of `rollout`, and what follows the name of its annotation. */
const ROLLOUT_FIELDS: Readonly<Record<string, string>> = {
  strategy: "",
  steps: ".steps",
  gate: ".gate",
  query: ".query",
  min_requests: ".min-requests",
  no_data: ".no-data",
  on_fail: ".on-fail",
  max: ".max",
  hook: ".hook",
  warm: ".warm",
};

/**
 * What `traffic`, `rollout`, `routes` and `version_name` of a function mean, as the annotations that are sent. Clients that
 * do not know these fields ignore them.
 * @param fields of the function
 * @throws {CliError} beginning with `file:line:column`, also where an annotation says the same already
 */
export function readVersionFields(reader: YamlReader, fields: Fields): Record<string, string> {
  const annotations: Record<string, string> = {};
  for (const [field, annotation] of PLAIN) {
    const text = reader.text(fields.get(field));
    if (text !== undefined && text !== "") annotations[annotation] = text;
  }
  const traffic = fields.get("traffic");
  const targets = traffic && readTraffic(reader, traffic);
  if (targets && targets.length > 0) annotations[TRAFFIC] = formatTraffic(targets);
  const rollout = fields.get("rollout");
  if (rollout) Object.assign(annotations, readRollout(reader, rollout));
  const routes = fields.get("routes");
  const read = routes && readStackRoutes(reader, routes);
  if (read) annotations[ROUTES] = read;
  refuseTwice(reader, fields, annotations);
  return annotations;
}

function refuseTwice(reader: YamlReader, fields: Fields, made: Readonly<Record<string, string>>): void {
  const given = fields.get("annotations");
  if (given === undefined) return;
  for (const [name, value] of reader.entries(given)) {
    if (Object.hasOwn(made, name)) reader.fail(value, "a field of the function says the same; give one of them");
  }
}

function readTraffic(reader: YamlReader, value: YamlValue): TrafficTarget[] {
  const targets = reader.items(value).map((item): TrafficTarget => {
    const fields = reader.entries(item);
    for (const [name, field] of fields) {
      if (!["version", "percent", "tag"].includes(name))
        reader.fail(field, "is unknown; there are version, percent and tag");
    }
    const version = reader.text(fields.get("version")) ?? reader.fail(item, "the version is missing");
    const percent = fields.get("percent");
    const text = reader.text(percent) ?? "0";
    const share = parsePercent(text) ?? reader.fail(percent ?? item, "must be 0 to 100 with at most two decimals");
    const tag = reader.text(fields.get("tag"));
    return { version, share, ...(tag !== undefined && tag !== "" && { tag }) };
  });
  if (targets.length === 0) return targets;
  try {
    return parseTraffic(formatTraffic(targets));
  } catch (error) {
    return reader.fail(value, toFaasError(error).message.replace(`${TRAFFIC}: `, ""));
  }
}

/** A strategy alone, or a mapping of {@link ROLLOUT_FIELDS}. */
function readRollout(reader: YamlReader, value: YamlValue): Record<string, string> {
  const fields = reader.isText(value) ? new Map([["strategy", value]]) : reader.entries(value);
  const annotations: Record<string, string> = {};
  const places = new Map<string, YamlValue>();
  for (const [name, field] of fields) {
    const suffix = Object.hasOwn(ROLLOUT_FIELDS, name) ? ROLLOUT_FIELDS[name] : undefined;
    if (suffix === undefined) reader.fail(field, `is unknown; there are ${Object.keys(ROLLOUT_FIELDS).join(", ")}`);
    const text = reader.isText(field) ? reader.text(field) : reader.texts(field).join(",");
    if (text === undefined || text === "") continue;
    annotations[ROLLOUT + suffix] = text;
    places.set(ROLLOUT + suffix, field);
  }
  const [problem] = parseRollout(annotations).problems;
  if (problem === undefined) return annotations;
  const [, name = "", rule = problem] = /^([\w.-]+): (.*)$/s.exec(problem) ?? [];
  return reader.fail(places.get(name) ?? value, rule);
}
