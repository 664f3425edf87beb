import type { IncomingMessage } from "node:http";
import type { Request, RequestHandler } from "express";
import { FaasError } from "../contract/errors.ts";
import { type Hosts, splitHost } from "./hosts.ts";

type Headers = IncomingMessage["headers"];

/** What a request says of where it comes from and what it carries. */
export interface GuardedRequest {
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly headers: Headers;
}

/**
 * Keeps web pages of others away from routes that change the platform: a browser sends what any page tells it to, with
 * credentials that it remembers. Refuses as `forbidden`.
 * @param hosts undefined for any
 */
export function guardControl(hosts: Hosts | undefined): RequestHandler {
  return (req, _res, next) => next(findForeign(pathed(req), hosts));
}

/**
 * Takes no bodies but JSON: what a plain form can send is no request, whatever page it is from.
 * @param others paths that take something else, and check that themselves
 */
export function requireJson(...others: readonly string[]): RequestHandler {
  return (req, _res, next) => next(others.includes(req.baseUrl + req.path) ? undefined : findNoJson(pathed(req)));
}

const pathed = ({ method, baseUrl, path, headers }: Request) => ({ method, path: baseUrl + path, headers });

/** Why a request is not taken for one of the server's own pages, of a program or of a person, if so. */
export function findForeign(request: GuardedRequest, hosts: Hosts | undefined): FaasError | undefined {
  const { headers } = request;
  return foreignHost(headers, hosts) ?? foreignSite(request) ?? foreignOrigin(headers, hosts);
}

const quoted = (text: string) => JSON.stringify(text.slice(0, 100));

/** A name that was made to point here (DNS rebinding): its page is of the same origin to the browser. */
function foreignHost({ host }: Headers, hosts: Hosts | undefined): FaasError | undefined {
  if (!hosts || host === undefined) return undefined;
  const given = splitHost(host);
  if (given && hosts.allows(given.name)) return undefined;
  return new FaasError("forbidden", `host ${quoted(host)} is not one of this server's; allowed_hosts can name it`);
}

/** @see https://www.w3.org/TR/fetch-metadata/ */
function foreignSite({ method, path, headers }: GuardedRequest): FaasError | undefined {
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return undefined;
  // A link to the pages that people look at; nothing there acts by being opened.
  const isPage = path === "/ui" || path.startsWith("/ui/");
  const isOpened = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  if (isPage && isOpened && method === "GET") return undefined;
  return new FaasError("forbidden", "requests from pages of other sites are refused");
}

function foreignOrigin({ origin, host }: Headers, hosts: Hosts | undefined): FaasError | undefined {
  if (origin === undefined || isOwn(origin, host, hosts)) return undefined;
  return new FaasError("forbidden", `origin ${quoted(origin)} is not this server; allowed_hosts can name it`);
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

/** The scheme does not count: a proxy that ends TLS makes http of https. */
function isOwn(origin: string, host: string | undefined, hosts: Hosts | undefined): boolean {
  if (!/^https?:\/\/[^/?#\s]{1,300}$/i.test(origin) || !URL.canParse(origin)) return false;
  const { host: page, hostname, port, protocol } = new URL(origin);
  if (hosts?.names(page)) return true;
  const own = splitHost(host ?? "");
  if (own?.name !== hostname.replace(/\.$/, "")) return false;
  return port === (own.port ?? "") || (port === "" && own.port === DEFAULT_PORTS[protocol]);
}

const CHANGES = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const JSON_TYPE = /^application\/(json|[a-z0-9.-]{1,60}\+json)\s*(;|$)/i;

/** What `curl -d` says of any body, and scripts made for OpenFaaS with it. */
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/**
 * What is wrong with what a request says of its body. No type at all, or that of forms, is taken only from what is no
 * browser: those name the page that a form is on.
 */
export function findNoJson({ method, headers }: Omit<GuardedRequest, "path">): FaasError | undefined {
  if (!CHANGES.has(method)) return undefined;
  const type = headers["content-type"];
  const isBrowser = headers.origin !== undefined || headers["sec-fetch-site"] !== undefined;
  if (type === undefined ? !isBrowser || !hasBody(headers) : JSON_TYPE.test(type)) return undefined;
  if (!isBrowser && FORM_TYPE.test(type ?? "")) return undefined;
  return new FaasError("unsupportedType", "the body must be JSON; send Content-Type: application/json with it");
}

function hasBody(headers: Headers): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
