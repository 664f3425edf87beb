import { parseJson } from "../../contract/decode.ts";
import { compileFilters, expressionFilter, type Filter } from "./filter.ts";

/** Annotations by which a function subscribes to the events of a broker. */
export const EVENT_FILTER = "com.faaslane.events.filter";
export const EVENT_FILTERS = "com.faaslane.events.filters";
/** EventAttributes that have an annotation of their own, after a dot. */
const SHORT_FORMS = ["type", "source", "subject"] as const;

type Annotations = Readonly<Record<string, string>>;

/** Whether a function wants events at all. */
export function hasEventFilter(annotations: Annotations): boolean {
  return [EVENT_FILTER, EVENT_FILTERS, ...SHORT_FORMS.map(shortName)].some((name) => annotations[name] !== undefined);
}

/**
 * The filter that a function's annotations make up together.
 * @returns undefined when there is none
 * @throws {FaasError} `invalid`, naming the annotation and the rule
 */
export function compileAnnotations(annotations: Annotations): Filter | undefined {
  if (!hasEventFilter(annotations)) return undefined;
  const { [EVENT_FILTER]: expression, [EVENT_FILTERS]: filters } = annotations;
  const parts = [
    ...(expression === undefined ? [] : [expressionFilter(expression, EVENT_FILTER)]),
    ...SHORT_FORMS.flatMap((attribute) => {
      const text = annotations[shortName(attribute)];
      return text === undefined ? [] : [compileFilters([shortForm(attribute, text)], shortName(attribute))];
    }),
    ...(filters === undefined ? [] : [compileFilters(parseJson(filters, EVENT_FILTERS), EVENT_FILTERS)]),
  ];
  return (attributes) => {
    for (const part of parts) {
      const verdict = part(attributes);
      if (verdict.passes === false) return verdict;
    }
    return { passes: true };
  };
}

function shortName(attribute: string): string {
  return `${EVENT_FILTER}.${attribute}`;
}

/** `order.*` is a prefix, `*.created` a suffix, anything else the whole value. */
function shortForm(attribute: string, text: string): object {
  if (text.length > 1 && text.endsWith("*")) return { prefix: { [attribute]: text.slice(0, -1) } };
  if (text.length > 1 && text.startsWith("*")) return { suffix: { [attribute]: text.slice(1) } };
  return { exact: { [attribute]: text } };
}
