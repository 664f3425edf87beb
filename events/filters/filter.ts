import { z } from "zod";
import { clip } from "../../contract/clip.ts";
import { FaasError } from "../../contract/errors.ts";
import { compileExpression } from "../cesql/expression.ts";
import { type EventValue, isAttributeName } from "../codec/cloud-event.ts";

/** What a filter says of an event. */
export interface FilterVerdict {
  /** Undefined: it has no opinion, as an empty one. */
  readonly passes: boolean | undefined;
  /** Why it does not pass: the clause that decided, and the value it saw. */
  readonly reason?: string;
}

export type EventAttributes = Readonly<Record<string, EventValue>>;

/** Never throws: a filter that goes wrong over an event does not let it pass, and says why. */
export type Filter = (attributes: EventAttributes) => FilterVerdict;

const PASSES: FilterVerdict = { passes: true };
const NO_OPINION: FilterVerdict = { passes: undefined };
const MAX_DEPTH = 20;
const MAX_CLAUSES = 500;

const values = z.record(z.string(), z.string());
const dialects = {
  exact: values,
  prefix: values,
  suffix: values,
  cesql: z.string(),
  all: z.array(z.unknown()),
  any: z.array(z.unknown()),
  not: z.unknown(),
};
type Dialect = keyof typeof dialects;
const isDialect = (name: string): name is Dialect => Object.hasOwn(dialects, name);

/** Shown of a value in a reason. */
const SHOWN_CHARS = 80;
/** Of an expression, in a reason. */
const MAX_EXPRESSION_CHARS = 120;
const shown = (value: EventValue) => JSON.stringify(String(value).slice(0, SHOWN_CHARS));

/**
 * Compiles a trigger's list of filters, all of which an event has to pass.
 * @param given as Knative has them: objects of one dialect each
 * @param field it is read from, for errors
 * @throws {FaasError} `invalid`, naming the filter by its path and the rule
 */
export function compileFilters(given: unknown, field: string): Filter {
  return new FilterReader().list(given, field, 0);
}

class FilterReader {
  #clauses = 0;

  list(given: unknown, path: string, depth: number): Filter {
    if (!Array.isArray(given)) throw wrong(path, "must be a list of filters");
    const filters = given.map((each, place) => this.#one(each, `${path}[${place}]`, depth));
    return filters.length === 0 ? () => NO_OPINION : allOf(filters);
  }

  #one(given: unknown, path: string, depth: number): Filter {
    if (depth > MAX_DEPTH) throw wrong(path, `is nested more than ${MAX_DEPTH} levels deep`);
    if (++this.#clauses > MAX_CLAUSES) throw wrong(path, `there are more than ${MAX_CLAUSES} filters`);
    if (typeof given !== "object" || given === null || Array.isArray(given)) throw wrong(path, "must be an object");
    const entries = Object.entries(given);
    if (entries.length === 0) return () => NO_OPINION;
    const [name, value] = entries[0] as [string, unknown];
    if (entries.length > 1) throw wrong(path, `must have one dialect, not ${entries.length}`);
    if (!isDialect(name)) {
      throw wrong(path, `${shown(name)} is no dialect; there are ${Object.keys(dialects).join(", ")}`);
    }
    return this.#dialect(name, value, `${path}.${name}`, depth);
  }

  #dialect(name: Dialect, given: unknown, path: string, depth: number): Filter {
    if (name === "not") return notOf(this.#one(given, path, depth + 1), path);
    if (name === "all" || name === "any") {
      if (!Array.isArray(given) || given.length === 0) throw wrong(path, "must be a list of at least one filter");
      const filters = given.map((each, place) => this.#one(each, `${path}[${place}]`, depth + 1));
      return name === "all" ? allOf(filters) : anyOf(filters, path);
    }
    if (name === "cesql") {
      if (typeof given !== "string") throw wrong(path, "must be a text");
      return expressionFilter(given, path);
    }
    const parsed = values.safeParse(given);
    if (!parsed.success) throw wrong(path, "must be an object of attributes and texts");
    return attributeFilter(name, parsed.data, path);
  }
}

function wrong(path: string, why: string): FaasError {
  return new FaasError("invalid", `${path}: ${why}`);
}

const COMPARE = {
  exact: (value: string, wanted: string) => value === wanted,
  prefix: (value: string, wanted: string) => value.startsWith(wanted),
  suffix: (value: string, wanted: string) => value.endsWith(wanted),
};

/** All of the attributes have to match. */
function attributeFilter(how: keyof typeof COMPARE, wanted: Readonly<Record<string, string>>, path: string): Filter {
  const clauses = Object.entries(wanted);
  if (clauses.length === 0) throw wrong(path, "must name at least one attribute");
  for (const [name, value] of clauses) {
    if (!isAttributeName(name)) throw wrong(path, `${shown(name)} is no name of an attribute: a-z and 0-9`);
    if (value === "") throw wrong(path, `${name}: must not be empty`);
  }
  const compare = COMPARE[how];
  return (attributes) => {
    for (const [name, value] of clauses) {
      const present = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
      if (present === undefined) return { passes: false, reason: `${path}: the event has no ${name}` };
      if (!compare(String(present), value)) {
        return { passes: false, reason: `${path}: ${name} is ${shown(present)}, not ${how} ${shown(value)}` };
      }
    }
    return PASSES;
  };
}

/** An expression of the CloudEvents SQL Expression Language. @throws {FaasError} `invalid` */
export function expressionFilter(text: string, path: string): Filter {
  let expression: ReturnType<typeof compileExpression>;
  try {
    expression = compileExpression(text);
  } catch (error) {
    throw error instanceof FaasError ? new FaasError(error.kind, `${path}: ${error.message}`, { cause: error }) : error;
  }
  const quoted = clip(text.trim().replace(/\s+/g, " "), MAX_EXPRESSION_CHARS);
  return (attributes) => {
    const { value, errors } = expression.evaluate(attributes);
    if (value === true && errors.length === 0) return PASSES;
    const error = errors[0];
    const why = error ? `${error.kind}: ${error.message}` : `is ${shown(value)}`;
    return { passes: false, reason: `${path}: ${quoted}: ${why}` };
  };
}

function allOf(filters: readonly Filter[]): Filter {
  if (filters.length === 1) return filters[0] as Filter;
  return (attributes) => {
    let verdict = NO_OPINION;
    for (const filter of filters) {
      const next = filter(attributes);
      if (next.passes === false) return next;
      if (next.passes) verdict = next;
    }
    return verdict;
  };
}

function anyOf(filters: readonly Filter[], path: string): Filter {
  return (attributes) => {
    const reasons: string[] = [];
    let opinions = 0;
    for (const filter of filters) {
      const { passes, reason } = filter(attributes);
      if (passes) return PASSES;
      if (passes === undefined) continue;
      opinions++;
      if (reason && reasons.length < 3) reasons.push(reason);
    }
    return opinions === 0 ? NO_OPINION : { passes: false, reason: `${path}: none passes: ${reasons.join("; ")}` };
  };
}

function notOf(filter: Filter, path: string): Filter {
  return (attributes) => {
    const { passes } = filter(attributes);
    if (passes === undefined) return NO_OPINION;
    return passes ? { passes: false, reason: `${path}: what it negates passes` } : PASSES;
  };
}

/** The filter of older triggers: all are equal, and an empty text stands for any. @throws {FaasError} `invalid` */
export function legacyFilter(wanted: Readonly<Record<string, string>>, path: string): Filter {
  for (const name of Object.keys(wanted)) {
    if (!/^[a-z][a-z0-9]*$/.test(name)) throw wrong(path, `${shown(name)} is no name of an attribute: a-z and 0-9`);
  }
  return (attributes) => {
    for (const [name, value] of Object.entries(wanted)) {
      const present = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
      if (typeof present !== "string" || present === "")
        return { passes: false, reason: `${path}: the event has no ${name}` };
      if (value !== "" && present !== value)
        return { passes: false, reason: `${path}: ${name} is ${shown(present)}, not ${shown(value)}` };
    }
    return PASSES;
  };
}
