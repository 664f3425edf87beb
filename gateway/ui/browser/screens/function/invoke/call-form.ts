import { isSecretName, redactCallback, redactText, redactValue } from "../../../../../../contract/redaction.ts";
import { command, option, quote } from "../../../act.ts";
import type { Pair } from "../../../definition/form.ts";
import type { FunctionPart } from "../part.ts";

/** A call of a function as people fill it in. */
export interface CallForm {
  readonly method: string;
  /** Below the function. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  readonly headers: readonly Pair[];
  readonly type: string;
  readonly body: string;
  /** By the queue, which takes `POST` alone. */
  readonly asynchronous: boolean;
  readonly callback: string;
  /** e.g. `90` or `1m30s`. */
  readonly delay: string;
}

export type CallProblems = Partial<Record<keyof CallForm, string>>;

export const NEW_CALL: CallForm = {
  method: "POST",
  path: "",
  query: "",
  headers: [],
  type: "text/plain",
  body: "",
  asynchronous: false,
  callback: "",
  delay: "",
};

export function hasBody({ method, asynchronous }: CallForm): boolean {
  return asynchronous || (method !== "GET" && method !== "HEAD");
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** What browsers set by themselves, whatever a page says. @see https://fetch.spec.whatwg.org/#forbidden-request-header */
const FORBIDDEN =
  /^(accept-(charset|encoding)|access-control-request-.*|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|referer|set-cookie|te|trailer|transfer-encoding|upgrade|via|proxy-.*|sec-.*)$/i;

/** What of it cannot be sent. */
export function callProblems(form: CallForm): CallProblems {
  const problems: CallProblems = {};
  if (/(^|\/)(\.|%2e){1,2}(\/|\?|$)/i.test(form.path) || form.path.includes("\\")) {
    problems.path = "must not lead elsewhere with . or ..";
  }
  for (const { key, value } of form.headers) {
    const name = key.trim();
    if (name === "" && value === "") continue;
    if (!TOKEN.test(name)) problems.headers = `${JSON.stringify(name)} cannot name a header`;
    else if (FORBIDDEN.test(name)) problems.headers = `${name} is set by the browser alone; curl can send it`;
    else if (/^x-faaslane-session$/i.test(name)) problems.headers = `${name} is the page's own`;
    else if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) problems.headers = `${name}: must be of Latin characters`;
  }
  if (!/^[\t\x20-\x7e]*$/.test(form.type)) problems.type = "must be of Latin characters";
  if (form.asynchronous && form.callback !== "" && !/^https?:\/\/./.test(form.callback)) {
    problems.callback = "must be an http or https URL";
  }
  if (form.asynchronous && form.delay !== "" && !/^(\d+(\.\d+)?|(\d+(\.\d+)?(ms|[smh]))+)$/.test(form.delay)) {
    problems.delay = "must be a duration such as 90 or 1m30s";
  }
  return problems;
}

/** Where it goes, with what a URL has no place for escaped. */
export function callPath({ name, namespace }: FunctionPart, form: CallForm): string {
  const [path = "", ...rest] = form.path.trim().split("?");
  const query = [...(rest.length > 0 ? [rest.join("?")] : []), form.query.trim().replace(/^\?/, "")]
    .filter((part) => part !== "")
    .join("&");
  const below = path === "" || path.startsWith("/") ? path : `/${path}`;
  const base = `/${form.asynchronous ? "async-function" : "function"}/${name}.${namespace}`;
  return `${base}${escapeRest(below, /[^\w\-.~!$&'()*+,;=:@/%]/gu)}${query === "" ? "" : `?${escapeRest(query, /[^\w\-.~!$&'()*+,;=:@/%?]/gu)}`}`;
}

function escapeRest(text: string, others: RegExp): string {
  return text.toWellFormed().replace(others, encodeURIComponent);
}

/** Its headers, by names in lower case. */
export function callHeaders(form: CallForm): Record<string, string> {
  const given = form.headers.flatMap(({ key, value }) =>
    key.trim() === "" ? [] : [[key.trim().toLowerCase(), value] as const],
  );
  return {
    accept: "*/*",
    ...(hasBody(form) && form.type.trim() !== "" && { "content-type": form.type.trim() }),
    ...(form.asynchronous && form.callback !== "" && { "x-callback-url": form.callback }),
    ...(form.asynchronous && form.delay !== "" && { "x-delay": form.delay }),
    ...Object.fromEntries(given),
  };
}

/** How to make the same call without the page. */
export function callCommands(part: FunctionPart, form: CallForm): { cli: string; curl: string } {
  const { accept: _, "content-type": type, "x-callback-url": callback, ...headers } = callHeaders(form);
  const path = callPath(part, form);
  const sent = hasBody(form) && form.body !== "";
  const at = path.indexOf("?");
  const query = at < 0 ? [] : path.slice(at + 1).split("&");
  const below = form.path.trim() !== "" && form.path.trim() !== "/";
  const invoke = command(
    ...["faaslane", "invoke", part.name, "-n", part.namespace],
    ...(form.asynchronous || form.method === "POST" ? [] : ["-m", form.method]),
    ...option("--content-type", sent ? type : undefined),
    ...query.flatMap((pair) => ["--query", pair]),
    ...Object.entries(headers).flatMap(([key, value]) => ["-H", `${key}: ${value}`]),
    ...(form.asynchronous ? ["--async", ...option("--callback", callback)] : []),
  );
  const all = {
    ...(type !== undefined && { "content-type": type }),
    ...(callback && { "x-callback-url": callback }),
    ...headers,
  };
  const flags = Object.entries(all).map(([key, value]) => ` -H ${quote(`${key}: ${value}`)}`);
  const method = form.asynchronous ? "POST" : form.method;
  return {
    cli: `${sent ? `printf %s ${quote(form.body)} | ` : ""}${invoke}${below ? "\n# the path below the function: by curl" : ""}`,
    curl: `curl ${method === "HEAD" ? "-I" : `-X ${method}`} "$GATEWAY${path.replace(/[$`]/g, "\\$&")}"${flags.join("")}${sent ? ` --data-binary ${quote(form.body)}` : ""}`,
  };
}

const MAX_KEPT_BODY_CHARS = 4_096;

/** What may be kept of a call: nothing that looks like a secret, and no long body. */
export function withoutSecrets(form: CallForm): CallForm {
  return {
    ...form,
    path: redactText(form.path),
    query: redactText(form.query),
    headers: form.headers.flatMap(({ key, value }) =>
      redactValue(key.trim(), value) === value ? [{ key, value }] : [],
    ),
    callback: redactCallback(form.callback),
    body: isKept(form.body) ? form.body : "",
  };
}

function isKept(body: string): boolean {
  if (body.length > MAX_KEPT_BODY_CHARS || redactText(body) !== body) return false;
  const names = body.matchAll(/(?<![\w.-])([\w.-]{2,})["']?\s*[:=]/g);
  return ![...names].some(([, name = ""]) => isSecretName(name));
}
