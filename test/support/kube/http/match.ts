import type { Resource } from "../resources.ts";
import { type ObjectMatcher, parseFieldSelector, parseLabelSelector } from "../selectors.ts";

/** Whether an object is among those that a request selects. @throws {ApiError} bad request */
export function matcherOf(resource: Resource, name: string, query: URLSearchParams): ObjectMatcher {
  const byLabels = parseLabelSelector(query.get("labelSelector") ?? "");
  const byFields = parseFieldSelector(query.get("fieldSelector") ?? "", resource.key);
  return (object) =>
    (name === "" || object.metadata.name === name) && byLabels(object.metadata.labels) && byFields(object);
}
