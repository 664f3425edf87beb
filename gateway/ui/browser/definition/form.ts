import type { Definition } from "./definition.ts";

export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** A function's definition as people fill it in. */
export interface DefinitionForm {
  readonly service: string;
  readonly namespace: string;
  readonly image: string;
  readonly envProcess: string;
  readonly envVars: readonly Pair[];
  /** Without those for the least and most replicas, which have fields of their own. */
  readonly labels: readonly Pair[];
  readonly annotations: readonly Pair[];
  readonly scaleMin: string;
  readonly scaleMax: string;
  readonly secrets: readonly string[];
  readonly limitsMemory: string;
  readonly limitsCpu: string;
  readonly requestsMemory: string;
  readonly requestsCpu: string;
  readonly readOnlyRootFilesystem: boolean;
}

export type FormField = keyof DefinitionForm;
/** What is wrong, by field; `other` is of none. */
export type FieldProblems = Partial<Record<FormField | "other", string>>;

const SCALE_MIN = "com.openfaas.scale.min";
const SCALE_MAX = "com.openfaas.scale.max";

type Strings = Readonly<Record<string, string>>;
const strings = (value: unknown) => (value ?? {}) as Strings;

export function emptyForm(namespace: string): DefinitionForm {
  return formOf({ service: "", image: "", namespace });
}

export function formOf(definition: Definition): DefinitionForm {
  const { [SCALE_MIN]: scaleMin = "", [SCALE_MAX]: scaleMax = "", ...labels } = strings(definition.labels);
  const [limits, requests] = [strings(definition.limits), strings(definition.requests)];
  return {
    service: definition.service,
    namespace: String(definition.namespace ?? ""),
    image: definition.image,
    envProcess: String(definition.envProcess ?? ""),
    envVars: pairsOf(strings(definition.envVars)),
    labels: pairsOf(labels),
    annotations: pairsOf(strings(definition.annotations)),
    scaleMin,
    scaleMax,
    secrets: [...((definition.secrets ?? []) as readonly string[])],
    limitsMemory: limits.memory ?? "",
    limitsCpu: limits.cpu ?? "",
    requestsMemory: requests.memory ?? "",
    requestsCpu: requests.cpu ?? "",
    readOnlyRootFilesystem: definition.readOnlyRootFilesystem === true,
  };
}

export function pairsOf(values: Strings): Pair[] {
  return Object.entries(values).map(([key, value]) => ({ key, value }));
}

/** Rows without a key and a value say nothing. */
export function recordOf(pairs: readonly Pair[]): Record<string, string> {
  return Object.fromEntries(pairs.flatMap(({ key, value }) => (key.trim() === "" ? [] : [[key.trim(), value]])));
}

/**
 * The definition to send.
 * @param base what is there already, whose other fields are kept as they are
 */
export function definitionFrom(form: DefinitionForm, base: Definition): Definition {
  const scale = { [SCALE_MIN]: form.scaleMin.trim(), [SCALE_MAX]: form.scaleMax.trim() };
  const labels = {
    ...recordOf(form.labels),
    ...Object.fromEntries(Object.entries(scale).filter(([, text]) => text !== "")),
  };
  const fields: Record<string, unknown> = {
    namespace: form.namespace,
    envProcess: form.envProcess.trim(),
    envVars: recordOf(form.envVars),
    labels,
    annotations: recordOf(form.annotations),
    secrets: [...form.secrets],
    limits: resources(base.limits, form.limitsMemory, form.limitsCpu),
    requests: resources(base.requests, form.requestsMemory, form.requestsCpu),
    readOnlyRootFilesystem: form.readOnlyRootFilesystem,
  };
  const next: Record<string, unknown> = { ...base, service: form.service.trim(), image: form.image.trim() };
  for (const [field, value] of Object.entries(fields)) {
    if (isNothing(value)) delete next[field];
    else next[field] = value;
  }
  return next as Definition;
}

/** What can be seen to be wrong before anybody is asked. */
export function formProblems(form: DefinitionForm): FieldProblems {
  const problems: FieldProblems = {};
  const service = form.service.trim();
  if (service === "") problems.service = "is required";
  else if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(service)) {
    problems.service = "must be lower-case letters, digits and -, and begin with a letter";
  }
  if (form.image.trim() === "") problems.image = "is required";
  for (const field of ["envVars", "labels", "annotations"] as const) {
    const problem = pairProblem(form[field]);
    if (problem) problems[field] = problem;
  }
  for (const field of ["scaleMin", "scaleMax"] as const) {
    if (!/^\d*$/.test(form[field].trim())) problems[field] = "must be a whole number";
  }
  return problems;
}

/** Why the pairs cannot be sent as a map. */
export function pairProblem(pairs: readonly Pair[]): string | undefined {
  const seen = new Set<string>();
  for (const { key, value } of pairs) {
    const name = key.trim();
    if (name === "" && value !== "") return "a value has no name";
    if (seen.has(name) && name !== "") return `${name} is given twice`;
    seen.add(name);
  }
  return undefined;
}

/** In messages of the API, from the most particular to the most general. */
const NAMES: readonly (readonly [beginning: RegExp, field: FormField])[] = [
  [/^(service|name)\b/, "service"],
  [/^namespace\b/, "namespace"],
  [/^(config: )?image\b/, "image"],
  [/^envProcess\b/, "envProcess"],
  [/^(envVars|environment)\b/, "envVars"],
  [/^limits\.memory\b/, "limitsMemory"],
  [/^limits\.cpu\b/, "limitsCpu"],
  [/^requests\.memory\b/, "requestsMemory"],
  [/^requests\.cpu\b/, "requestsCpu"],
  [/^(labels?\.)?com\.openfaas\.scale\.min\b/, "scaleMin"],
  [/^(labels?\.)?com\.openfaas\.scale\.max\b/, "scaleMax"],
  [/^(labels|com\.openfaas\.scale)\b/, "labels"],
  [/^(annotations|com\.(faaslane|openfaas)\.)/, "annotations"],
  [/^(secrets?\b|unable to fetch secrets)/, "secrets"],
  [/^readOnlyRootFilesystem\b/, "readOnlyRootFilesystem"],
];

/** What the API refuses, at the fields that it names. */
export function problemsOf(message: string): FieldProblems {
  const problems: FieldProblems = {};
  const text = message.trim().replace(/^(validation failed|failed to unmarshal request): /, "");
  for (const part of text.split(/; (?=[a-z][\w.-]*[:( ])/i)) {
    const field = NAMES.find(([beginning]) => beginning.test(part))?.[1] ?? "other";
    // The field says its name by itself.
    const said = part.replace(/^(?:config: )?(service|namespace|image|envProcess|(?:limits|requests)\.\w+): /, "");
    problems[field] = problems[field] === undefined ? said : `${problems[field]}; ${said}`;
  }
  return problems;
}

function resources(base: unknown, memory: string, cpu: string): Record<string, unknown> {
  const next: Record<string, unknown> = { ...(base as object | undefined) };
  for (const [field, text] of Object.entries({ memory: memory.trim(), cpu: cpu.trim() })) {
    if (text === "") delete next[field];
    else next[field] = text;
  }
  return next;
}

function isNothing(value: unknown): boolean {
  if (value === "" || value === false) return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
