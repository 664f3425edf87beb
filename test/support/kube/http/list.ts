import type { Api } from "../api.ts";
import { ApiError, badRequest, expired } from "../status.ts";
import { objectKey } from "../store.ts";
import type { KubeObject } from "../types.ts";
import { matcherOf } from "./match.ts";
import type { ResourceRoute } from "./route.ts";

export interface ListPage {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  readonly continue: string | undefined;
  readonly remaining: number | undefined;
}

interface ContinueToken {
  readonly rv: number;
  /** Namespace and name of the last object given. */
  readonly after: string;
}

const EXPIRED =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
  "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
  "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
  "deleted between the time the first chunk was returned and now may show up in the list.";

/**
 * A page of a list. All pages of a list show the same moment.
 * @throws {ApiError} expired, when that moment is no longer known; bad request for malformed parameters
 */
export function listPage(api: Api, { resource, namespace, name, query }: ResourceRoute): ListPage {
  const limit = parseCount(query, "limit");
  const token = parseToken(query.get("continue"));
  const matches = matcherOf(resource, name, query);
  const revision = token?.rv ?? revisionFor(api, query, limit);
  const all =
    token === undefined
      ? api.store.listAt(resource.key, namespace, revision)
      : resume(api, resource.key, namespace, token);
  const rest = token === undefined ? all : all.filter((object) => sortKey(object) > token.after);
  const found = rest.filter(matches);
  const items = limit > 0 ? found.slice(0, limit) : found;
  const more = found.length - items.length;
  const last = items.at(-1);
  // A token of revision -1 is the promise of an inconsistent list; it goes on with what is there now.
  const shown = revision < 0 ? api.store.revision : revision;
  const isSelected = query.has("labelSelector") || query.has("fieldSelector");
  return {
    items,
    resourceVersion: String(shown),
    continue: more > 0 && last !== undefined ? formatToken({ rv: shown, after: sortKey(last) }) : undefined,
    remaining: more > 0 && !isSelected ? more : undefined,
  };
}

function resume(api: Api, resource: string, namespace: string, token: ContinueToken): KubeObject[] {
  if (token.rv < 0) return api.store.list(resource, namespace);
  try {
    return api.store.listAt(resource, namespace, token.rv);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 410) throw error;
    throw expired(EXPIRED, formatToken({ ...token, rv: -1 }));
  }
}

function sortKey(object: KubeObject): string {
  const { namespace, name } = objectKey(object);
  return `${namespace}/${name}`;
}

function formatToken(token: ContinueToken): string {
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function parseToken(text: string | null): ContinueToken | undefined {
  if (text === null || text === "") return undefined;
  try {
    const { rv, after } = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as ContinueToken;
    if (Number.isInteger(rv) && typeof after === "string") return { rv, after };
  } catch {
    // Refused below, like every other text that is not a token.
  }
  throw badRequest("continue key is not valid: it was not given by this server");
}

function revisionFor(api: Api, query: URLSearchParams, limit: number): number {
  const current = api.store.revision;
  const wanted = parseRevision(query.get("resourceVersion"));
  const match = query.get("resourceVersionMatch");
  if (wanted === undefined || wanted === 0) return current;
  if (wanted > current) throw tooLarge(wanted, current);
  return match === "Exact" || (match === null && limit > 0) ? wanted : current;
}

function tooLarge(wanted: number, current: number): ApiError {
  return new ApiError(504, "Timeout", `Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "" }],
    retryAfterSeconds: 1,
  });
}

/** @throws {ApiError} bad request */
export function parseRevision(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  if (!/^\d+$/.test(text)) throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion must be a number`);
  return Number(text);
}

export function parseCount(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "0";
  if (!/^\d+$/.test(text)) throw badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be a number`);
  return Number(text);
}
