/** What a request for a file asks for, decided without looking at the file system. */

/**
 * The path of a request target, decoded: each character of the result is one byte.
 * @returns undefined when the encoding is not valid, or it holds a zero byte
 */
export function decodePath(rawPath: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(rawPath)) return undefined;
  const path = rawPath.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return path.includes("\0") ? undefined : path;
}

/** The same path without empty parts, `.` and `..`; a slash that ends it stays. Never leads above the root. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const isFolder = /\/\.{0,2}$/.test(path);
  return parts.length === 0 ? "/" : `/${parts.join("/")}${isFolder ? "/" : ""}`;
}

/** A path of bytes as it stands in a `Location` or a link. */
export function encodePath(path: string): string {
  return path.replace(/[^A-Za-z0-9\-._~!$&'()*+,=@/]/g, (byte) => {
    return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
  });
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&#34;")
    .replaceAll("'", "&#39;");
}

/** Names in a folder as a page; those of folders end with a slash. */
export function renderListing(names: readonly string[]): string {
  const links = [...names].sort().map((name) => {
    // A name with a colon must not be taken for a scheme.
    const link = encodePath(name);
    const href = name.includes(":") ? `./${link}` : link;
    return `<a href="${escapeHtml(href)}">${escapeHtml(Buffer.from(name, "latin1").toString("utf8"))}</a>\n`;
  });
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${links.join("")}</pre>\n`;
}

export interface Conditions {
  readonly "if-modified-since"?: string | undefined;
  readonly "if-unmodified-since"?: string | undefined;
  readonly "if-range"?: string | undefined;
  readonly range?: string | undefined;
}

export type Answer =
  | { readonly kind: "whole" }
  /** Both ends included. */
  | { readonly kind: "part"; readonly first: number; readonly last: number }
  | { readonly kind: "notModified" }
  | { readonly kind: "changed" }
  | { readonly kind: "unsatisfiable" };

export interface FileFacts {
  readonly bytes: number;
  /** When it was changed, in whole seconds since the epoch. */
  readonly changedAt: number;
}

/**
 * Decides what of a file is sent.
 * @see RFC 9110 §13.2.2, §14.2
 */
export function decideAnswer(method: string, headers: Conditions, { bytes, changedAt }: FileFacts): Answer {
  const reads = method === "GET" || method === "HEAD";
  const unmodifiedSince = secondsOf(headers["if-unmodified-since"]);
  if (unmodifiedSince !== undefined && changedAt > unmodifiedSince) return { kind: "changed" };
  const modifiedSince = secondsOf(headers["if-modified-since"]);
  if (reads && modifiedSince !== undefined && changedAt <= modifiedSince) return { kind: "notModified" };
  const { range, "if-range": ifRange } = headers;
  // Entity tags are not given out, so none can match.
  if (range === undefined || (ifRange !== undefined && secondsOf(ifRange) !== changedAt)) return { kind: "whole" };
  return decideRange(range, bytes);
}

function secondsOf(date: string | undefined): number | undefined {
  const ms = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}

/** One range is answered with that part; several, which nobody has to serve, with the whole file. */
function decideRange(range: string, bytes: number): Answer {
  const [, from, to] = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/.exec(range) ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) {
    return /^bytes=[\s\d,-]*,/.test(range) ? { kind: "whole" } : { kind: "unsatisfiable" };
  }
  if (from === "") {
    const length = Math.min(Number(to), bytes);
    return length === 0 ? { kind: "unsatisfiable" } : { kind: "part", first: bytes - length, last: bytes - 1 };
  }
  const first = Number(from);
  const last = to === "" ? bytes - 1 : Math.min(Number(to), bytes - 1);
  return first > last ? { kind: "unsatisfiable" } : { kind: "part", first, last };
}

const TYPES: Readonly<Record<string, string>> = {
  avif: "image/avif",
  css: "text/css; charset=utf-8",
  csv: "text/csv; charset=utf-8",
  gif: "image/gif",
  htm: "text/html; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/vnd.microsoft.icon",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  map: "application/json",
  md: "text/markdown; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  otf: "font/otf",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  ttf: "font/ttf",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
  webm: "video/webm",
  webmanifest: "application/manifest+json",
  webp: "image/webp",
  woff: "font/woff",
  woff2: "font/woff2",
  xml: "text/xml; charset=utf-8",
  zip: "application/zip",
};

/** The type of a file by its name; undefined when that does not tell. */
export function typeByName(path: string): string | undefined {
  const [, extension] = /\.([A-Za-z0-9]+)$/.exec(path) ?? [];
  const name = extension?.toLowerCase() ?? "";
  return Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
}
