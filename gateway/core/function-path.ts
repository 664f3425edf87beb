import type { FunctionRef } from "../../contract/functions.ts";

/** Where a function URL leads. */
export type FunctionPath =
  | {
      readonly kind: "function";
      /** As written in the URL: `name` or `name.namespace`, perhaps `name@version` or `name@tag` in the place of the name. */
      readonly target: string;
      /** What the function sees: raw path and query, starting with `/`. */
      readonly url: string;
    }
  /** The path has `//`, `.` or `..` segments; clients are sent to the clean one. */
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "none" };

/** With a dot at the end at most once, and with something before it; `@` at most once, in between. */
const TARGET = /^[-a-zA-Z_0-9.]*[-a-zA-Z_0-9](?:@[-a-zA-Z_0-9][-a-zA-Z_0-9.]*)?\.?$/;
const UNCLEAN = /\/\/|\/\.\.?(\/|$)/;
/** Of a name with its namespace, also where all of it is escaped. */
const MAX_TARGET_CHARS = 1024;
/** Nobody is sent to the clean path of one that is longer. */
const MAX_UNCLEAN_CHARS = 8192;
const NONE: FunctionPath = { kind: "none" };

/**
 * Splits `<prefix>NAME[/rest][?query]` by hand: the rest stays as it was sent, byte for byte.
 * @param url the raw request target, which starts with `prefix`
 * @param prefix e.g. `/function/`
 * @see test/compat/call-rows.ts for paths and where they lead
 */
export function parseFunctionPath(url: string, prefix: string): FunctionPath {
  const queryAt = url.indexOf("?");
  const pathEnd = queryAt < 0 ? url.length : queryAt;
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  if (UNCLEAN.test(path)) {
    const location = cleanLocation(url);
    return location === undefined ? NONE : { kind: "redirect", location };
  }

  const slashAt = path.indexOf("/", prefix.length);
  const nameEnd = slashAt < 0 ? pathEnd : slashAt;
  if (nameEnd - prefix.length > MAX_TARGET_CHARS) return NONE;
  const target = decodeSegment(path.slice(prefix.length, nameEnd));
  if (target === undefined || !TARGET.test(target)) return NONE;
  const rest = url.slice(nameEnd);
  return { kind: "function", target: withoutLastDot(target), url: rest.startsWith("/") ? rest : `/${rest}` };
}

/**
 * Where clients are sent whose path has `//`, `.` or `..` segments, as Go's router sends them.
 * @param url the raw request target
 * @returns undefined for a path that is clean, or too long to be sent back
 */
export function cleanLocation(url: string): string | undefined {
  if (!url.startsWith("/")) return undefined; // the absolute form has `//` of its own
  const queryAt = url.indexOf("?");
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  if (path.length > MAX_UNCLEAN_CHARS || !UNCLEAN.test(path)) return undefined;
  return cleanPath(path) + url.slice(path.length);
}

/** `name` or `name.namespace`, split at the last dot; a version or tag stays with the name. */
export function parseTarget(target: string, defaultNamespace: string): FunctionRef {
  const dot = target.lastIndexOf(".");
  if (dot < 0) return { name: target, namespace: defaultNamespace };
  return { name: target.slice(0, dot), namespace: target.slice(dot + 1) || defaultNamespace };
}

/** Takes `name@version.namespace` apart; undefined for a target that names no version or tag. */
export function splitVersion(target: string): { readonly target: string; readonly version: string } | undefined {
  const at = target.indexOf("@");
  if (at < 0) return undefined;
  const dot = target.indexOf(".", at);
  const end = dot < 0 ? target.length : dot;
  return { target: target.slice(0, at) + target.slice(end), version: target.slice(at + 1, end) };
}

/** `name.` is the name in the default namespace, as OpenFaaS has it. */
function withoutLastDot(target: string): string {
  return target.endsWith(".") ? target.slice(0, -1) : target;
}

function decodeSegment(segment: string): string | undefined {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined; // an escape that is none: no such route
  }
}

/** Resolves empty, `.` and `..` segments; a trailing slash stays. */
function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  const clean = `/${kept.join("/")}${path.endsWith("/") && kept.length > 0 ? "/" : ""}`;
  return clean.replaceAll("\\", "%5C"); // to browsers it is a slash, and two make another host
}
