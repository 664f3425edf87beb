/** A function as it is sent to the gateway; what the page does not know of it is kept. */
export type Definition = Readonly<Record<string, unknown>> & {
  readonly service: string;
  readonly image: string;
};

/** What `GET /system/function/NAME` tells of how the function is, not of how it is to be. */
const STATE = new Set([
  "name",
  "replicas",
  "availableReplicas",
  "invocationCount",
  "createdAt",
  "usage",
  "problem",
  "sandbox",
  "imageBytes",
]);
/** What platforms add to labels and annotations of every function. */
const ADDED = new Set(["faas_function", "uid", "com.openfaas.uid", "prometheus.io.scrape", "prometheus.io/scrape"]);

/** How a function was deployed, of what the gateway tells about it. */
export function definitionOf(status: Readonly<Record<string, unknown>>): Definition {
  const kept = Object.entries(status).filter(([field]) => !STATE.has(field));
  const definition = {
    service: String(status.name ?? ""),
    image: String(status.image ?? ""),
    ...Object.fromEntries(kept),
  };
  for (const field of ["labels", "annotations"] as const) {
    const pairs = Object.entries((status[field] ?? {}) as Readonly<Record<string, string>>);
    const own = pairs.filter(([key]) => !ADDED.has(key));
    delete (definition as Record<string, unknown>)[field];
    if (own.length > 0) Object.assign(definition, { [field]: Object.fromEntries(own) });
  }
  return definition;
}

/** One value that differs. A side that has it not is undefined. */
export interface Change {
  /** e.g. `image` or `envVars.LEVEL`. */
  readonly field: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** What would change, by fields in alphabetical order. */
export function changesBetween(from: Definition, to: Definition): Change[] {
  const [before, after] = [flatten(from), flatten(to)];
  const fields = [...new Set([...before.keys(), ...after.keys()])].sort();
  return fields.flatMap((field) => {
    const [was, is] = [before.get(field), after.get(field)];
    return was === is ? [] : [{ field, from: was, to: is }];
  });
}

/** Values by their paths; lists count as one, whatever their order. */
function flatten(definition: Definition): Map<string, string> {
  const found = new Map<string, string>();
  const add = (field: string, value: unknown) => {
    if (value === undefined || value === null || value === "" || value === false) return;
    if (Array.isArray(value)) {
      if (value.length > 0) found.set(field, value.map(textOf).sort().join(", "));
    } else if (typeof value === "object") {
      for (const [key, part] of Object.entries(value)) {
        // An empty label is one all the same.
        if (part === "" && !/^(limits|requests)$/.test(field)) found.set(`${field}.${key}`, "");
        else add(`${field}.${key}`, part);
      }
    } else found.set(field, textOf(value));
  };
  for (const [field, value] of Object.entries(definition)) add(field, value);
  return found;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
