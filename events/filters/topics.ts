import { FaasError } from "../../contract/errors.ts";

/** Annotation with the topics that a function wants, as OpenFaaS's connectors have it. */
export const TOPIC = "topic";
const MAX_TOPICS = 100;

/** Whether a topic is wanted. */
export type TopicFilter = (topic: string) => boolean;

/**
 * Compiles a list of topics, separated by commas. An item with `*` or `>` is a pattern over parts between dots or slashes: `*` is
 * one part, `>` at the end one or more. Everything else is compared as it is.
 * @throws {FaasError} `invalid`
 */
export function compileTopics(text: string): TopicFilter {
  const items = text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
  if (items.length > MAX_TOPICS) throw new FaasError("invalid", `${TOPIC}: names more than ${MAX_TOPICS} topics`);
  const exact = new Set(items);
  const patterns = items.filter((item) => partsOf(item).some((part) => part === "*" || part === ">")).map(readPattern);
  return (topic) => {
    if (exact.has(topic)) return true;
    if (patterns.length === 0) return false;
    const parts = partsOf(topic);
    return patterns.some((pattern) => fits(parts, pattern));
  };
}

function partsOf(topic: string): string[] {
  return topic.split(/[./]/);
}

function readPattern(item: string): readonly string[] {
  const parts = partsOf(item);
  if (parts.slice(0, -1).includes(">"))
    throw new FaasError("invalid", `${TOPIC}: "${item}": ">" can only be the last part`);
  return parts;
}

function fits(parts: readonly string[], pattern: readonly string[]): boolean {
  const open = pattern.at(-1) === ">";
  if (open ? parts.length < pattern.length : parts.length !== pattern.length) return false;
  const compared = open ? pattern.slice(0, -1) : pattern;
  return compared.every((part, place) => part === "*" || part === parts[place]);
}
