import type { FunctionRef } from "../../contract/functions.ts";

/** Where a call under `/function/` goes. */
export interface FunctionTarget {
  readonly ref: FunctionRef;
  /** Path and query for the function as the client sent them, starting with `/`. */
  readonly path: string;
}

const PREFIX = "/function/";
/** With a version after an `@`, where one is meant. */
const NAME = /^[-a-zA-Z_0-9.]+(@[-a-z0-9]+(\.[-a-zA-Z_0-9.]*)?)?$/;

/** Whether a raw URL is a call of a function, well-formed or not. */
export function isFunctionUrl(url: string): boolean {
  return url.startsWith(PREFIX);
}

/**
 * Splits the raw URL `/function/{name}[.{namespace}][/{path}][?{query}]`; undefined when there is no such name.
 * Nothing after the name is decoded, so that the function receives the very bytes the client sent.
 */
export function parseFunctionUrl(url: string, fallbackNamespace: string): FunctionTarget | undefined {
  const afterName = url.slice(PREFIX.length).search(/[/?]/);
  const end = afterName < 0 ? url.length : PREFIX.length + afterName;
  const name = decoded(url.slice(PREFIX.length, end));
  if (name === undefined || !NAME.test(name)) return undefined;

  const rest = url.slice(end);
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  const dot = name.lastIndexOf(".");
  const ref =
    dot < 0
      ? { name, namespace: fallbackNamespace }
      : { name: name.slice(0, dot), namespace: name.slice(dot + 1) || fallbackNamespace };
  return { ref, path };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
