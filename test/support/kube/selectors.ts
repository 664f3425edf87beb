import { badRequest } from "./status.ts";
import { type Fields, isFields, type KubeObject, type StringMap } from "./types.ts";

export type LabelMatcher = (labels: StringMap | undefined) => boolean;
export type ObjectMatcher = (object: KubeObject) => boolean;

const REQUIREMENT =
  /^\s*(?:(!)\s*([^\s=!,()]+)|([^\s=!,()]+)\s*(?:(==|=|!=)\s*([^\s=!,()]*)|\s+(in|notin)\s*\(([^()]*)\))?)\s*$/;

/** @throws {ApiError} bad request when `text` is not a label selector */
export function parseLabelSelector(text: string): LabelMatcher {
  if (text.trim() === "") return () => true;
  const requirements = splitOutsideParentheses(text).map(parseRequirement);
  return (labels) => requirements.every((matches) => matches(labels ?? {}));
}

function splitOutsideParentheses(text: string): string[] {
  return text.split(/,(?![^(]*\))/);
}

function parseRequirement(text: string): (labels: StringMap) => boolean {
  const match = REQUIREMENT.exec(text);
  if (match === null) throw badRequest(`unable to parse requirement: found '${text}', expected a label selector`);
  const [, absent, absentKey, key, operator, value, setOperator, members] = match;
  if (absent !== undefined) return (labels) => labels[absentKey as string] === undefined;
  const name = key as string;
  if (operator !== undefined) return operator === "!=" ? (l) => l[name] !== value : (l) => l[name] === value;
  if (setOperator === undefined) return (labels) => labels[name] !== undefined;
  const set = new Set((members as string).split(",").map((member) => member.trim()));
  const within = (labels: StringMap) => labels[name] !== undefined && set.has(labels[name]);
  return setOperator === "in" ? within : (labels) => !within(labels);
}

/** The matcher of a `LabelSelector` object; a missing one matches nothing. */
export function labelSelectorOf(selector: unknown): LabelMatcher {
  if (!isFields(selector)) return () => false;
  const equal = Object.entries((selector.matchLabels ?? {}) as StringMap);
  const expressions = (selector.matchExpressions ?? []) as readonly Fields[];
  return (labels = {}) =>
    equal.every(([key, value]) => labels[key] === value) &&
    expressions.every(({ key, operator, values }) => {
      const value = labels[key as string];
      const listed = value !== undefined && ((values ?? []) as readonly string[]).includes(value);
      switch (operator) {
        case "In":
          return listed;
        case "NotIn":
          return !listed;
        case "Exists":
          return value !== undefined;
        default:
          return value === undefined;
      }
    });
}

/** `a=b,c in (d)`, as the scale subresource writes a selector. */
export function formatLabelSelector(selector: unknown): string {
  if (!isFields(selector)) return "";
  const equal = Object.entries((selector.matchLabels ?? {}) as StringMap).map(([key, value]) => `${key}=${value}`);
  const expressions = ((selector.matchExpressions ?? []) as readonly Fields[]).map(({ key, operator, values }) => {
    if (operator === "Exists") return String(key);
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${((values ?? []) as readonly string[]).join(",")})`;
  });
  return [...equal.sort(), ...expressions].join(",");
}

const COMMON_FIELDS = ["metadata.name", "metadata.namespace"];
const MORE_FIELDS: Readonly<Record<string, readonly string[]>> = {
  pods: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
  ],
  secrets: ["type"],
  namespaces: ["status.phase"],
  events: [
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
    "reason",
    "type",
  ],
  "replicasets.apps": ["status.replicas"],
};

/** @throws {ApiError} bad request for a field that objects of the resource cannot be selected by */
export function parseFieldSelector(text: string, resourceKey: string): ObjectMatcher {
  if (text.trim() === "") return () => true;
  const known = [...COMMON_FIELDS, ...(MORE_FIELDS[resourceKey] ?? [])];
  const requirements = text.split(",").map((part) => {
    const match = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part);
    if (match === null) throw badRequest(`invalid field selector: ${text}: can't understand '${part}'`);
    const [, field, operator, value] = match as unknown as [string, string, string, string];
    if (!known.includes(field)) {
      throw badRequest(`"${field}" is not a known field selector: only ${known.map((f) => `"${f}"`).join(", ")}`);
    }
    const path = field.split(".");
    return (object: KubeObject) => (operator === "!=") !== (String(valueAt(object, path) ?? "") === value);
  });
  return (object) => requirements.every((matches) => matches(object));
}

function valueAt(object: KubeObject, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (isFields(value) ? value[name] : undefined), object);
}
