import type { IncomingMessage } from "node:http";

/** Which watchdog's set of variables a program expects. */
export type CgiStyle = "classic" | "of-watchdog";

/** A request whose data cannot be put into an environment. */
export class UnrepresentableError extends Error {
  override readonly name = "UnrepresentableError";
}

/** Set from the request line and the framing; a caller's header of the same name must not pass for them. */
const SYNTHETIC = new Set(["Method", "ContentLength", "Transfer_Encoding", "Query", "Path", "Host"]);

/**
 * The request as `Http_*` variables, as OpenFaaS's watchdogs name them. The prefix is mixed case on purpose: it keeps a
 * `Proxy` header from becoming `HTTP_PROXY`.
 * @throws {UnrepresentableError} for a path that is not valid, or holds a zero byte
 */
export function buildCgiVariables(req: IncomingMessage, style: CgiStyle): Record<string, string> {
  const variables: Record<string, string> = {};
  const { rawHeaders, headers } = req;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = variableOf(rawHeaders[i] as string);
    if (name !== undefined) variables[name] ??= recodeBytes(rawHeaders[i + 1] as string);
  }
  const url = req.url as string;
  const queryAt = url.indexOf("?");
  const path = decodePath(queryAt === -1 ? url : url.slice(0, queryAt));
  const query = queryAt === -1 ? "" : url.slice(queryAt + 1);
  const transferEncoding = headers["transfer-encoding"]?.split(",", 1)[0]?.trim();
  variables.Http_Method = req.method as string;
  if (style === "classic") {
    const length = headers["content-length"] ?? (transferEncoding === undefined ? "0" : "-1");
    variables.Http_ContentLength = length;
    variables.Http_Content_Length = length;
    if (headers.host) variables.Http_Host = recodeBytes(headers.host);
  }
  if (transferEncoding !== undefined) variables.Http_Transfer_Encoding = transferEncoding;
  if (query !== "") variables.Http_Query = recodeBytes(query);
  if (path !== "") variables.Http_Path = path;
  return variables;
}

/** Most callers send the same few headers; those who do not must not fill memory. */
const KNOWN_LIMIT = 200;
const KNOWN_LENGTH = 100;
const known = new Map<string, string | undefined>();

/** The variable that a header of this name becomes; undefined for none. */
function variableOf(header: string): string | undefined {
  if (known.has(header)) return known.get(header);
  const name = canonicalHeader(header).replaceAll("-", "_");
  const variable = SYNTHETIC.has(name) || name.includes("=") ? undefined : `Http_${name}`;
  if (header.length <= KNOWN_LENGTH) {
    if (known.size >= KNOWN_LIMIT) known.clear();
    known.set(header, variable);
  }
  return variable;
}

/** Go's spelling of a header: `x-api-key` → `X-Api-Key`. */
export function canonicalHeader(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

/**
 * Node reads header bytes as Latin-1 and writes an environment as UTF-8. Bytes that were UTF-8 all along survive that if
 * they are read as such; only what never was valid UTF-8 is re-encoded.
 */
function recodeBytes(latin1: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is meant
  if (/^[\x00-\x7f]*$/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  const text = bytes.toString("utf8");
  return text.includes("\ufffd") ? latin1 : text;
}

function decodePath(rawPath: string): string {
  if (!rawPath.includes("%")) return recodeBytes(rawPath);
  if (/%(?![0-9A-Fa-f]{2})/.test(rawPath)) throw new UnrepresentableError("invalid percent-encoding in the path");
  const latin1 = rawPath.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  if (latin1.includes("\0")) throw new UnrepresentableError("zero byte in the path");
  return recodeBytes(latin1);
}
