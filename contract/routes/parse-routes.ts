import { decode, parseJson } from "../decode.ts";
import {
  describeRoute,
  type FunctionRoute,
  type GivenRoute,
  givenRoutes,
  MAX_ROUTES,
  normalizeRoutes,
  ROUTES,
  routesError,
} from "./route.ts";

const MAX_CHARS = 64 * 1024;

/**
 * Reads the annotation: a JSON list of routes, or routes as {@link readRoute} has them, separated by `;` or line breaks.
 * @throws {FaasError} `invalid`, naming route, field and rule
 */
export function parseRoutes(text: string): readonly FunctionRoute[] {
  if (text.length > MAX_CHARS) throw routesError([`must be at most ${MAX_CHARS} characters`]);
  const { routes, problems } = normalizeRoutes(text.trimStart().startsWith("[") ? readJson(text) : readText(text));
  if (problems.length > 0) throw routesError(problems);
  return routes;
}

function readJson(text: string): readonly GivenRoute[] {
  return decode(givenRoutes, parseJson(text, ROUTES), ROUTES);
}

function readText(text: string): readonly GivenRoute[] {
  const parts = text
    .split(/[;\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (parts.length > MAX_ROUTES) throw routesError([`must have at most ${MAX_ROUTES} routes`]);
  const problems: string[] = [];
  const routes = parts.map((part, index) =>
    readRoute(part, (rule) => void problems.push(`route ${index + 1}: ${rule}`)),
  );
  if (problems.length > 0) throw routesError(problems);
  return routes;
}

const OPTIONS = "@VERSION, keep, rewrite=PATH, header=NAME:VALUE, cert=SECRET and issuer=NAME";

/**
 * One route as text: `[METHOD,…] [HOST]/PATH[/*] [OPTION…]`. `/*` at the end stands for all below, and a host alone for all
 * of its paths. `GET,POST shop.example.com/cart/* @canary header=X-Beta:1`
 */
export function readRoute(text: string, refuse: (rule: string) => void): GivenRoute {
  const words = text.split(/\s+/);
  const methods = /^[A-Z]+(,[A-Z]+)*$/.test(words[0] ?? "") && words.length > 1 ? words.shift()?.split(",") : [];
  const place = words.shift() ?? "";
  const slash = place.indexOf("/");
  const host = slash < 0 ? place : place.slice(0, slash);
  const written = slash < 0 ? "/*" : place.slice(slash);
  const isPrefix = written.endsWith("/*");
  const route: GivenRoute = {
    ...(host !== "" && { host }),
    path: isPrefix ? written.slice(0, -1) : written,
    ...(!isPrefix && { exact: true }),
    ...(methods && methods.length > 0 && { methods }),
  };
  const headers: Record<string, string> = {};
  for (const word of words) {
    const [, name = "", value = ""] = /^([a-z]+)=(.*)$/s.exec(word) ?? [];
    const [, header = "", wanted = ""] = /^([^:]+):(.*)$/s.exec(value) ?? [];
    if (word.startsWith("@")) route.version = word.slice(1);
    else if (word === "keep") route.keepPath = true;
    else if (name === "rewrite") route.rewrite = value;
    else if (name === "cert") route.certificate = value;
    else if (name === "issuer") route.issuer = value;
    else if (name === "header" && header !== "") headers[header] = wanted;
    else refuse(`"${word}" is unknown; after the path there may be ${OPTIONS}`);
  }
  if (Object.keys(headers).length > 0) route.headers = headers;
  return route;
}

const PLAIN = /^[^\s;]*$/;

/** The annotation that means `routes`: text where that can say them, JSON otherwise. */
export function formatRoutes(routes: readonly FunctionRoute[]): string {
  const isPlain = routes.every(({ headers = {} }) => Object.values(headers).every((value) => PLAIN.test(value)));
  return isPlain && routes.every(({ path }) => PLAIN.test(path))
    ? routes.map(formatRoute).join("; ")
    : JSON.stringify(routes);
}

/** One route as {@link readRoute} reads it. */
export function formatRoute(route: FunctionRoute): string {
  const { version, keepPath, rewrite, certificate, issuer } = route;
  return [
    describeRoute(route),
    ...(version === undefined ? [] : [`@${version}`]),
    ...(keepPath ? ["keep"] : []),
    ...(rewrite === undefined ? [] : [`rewrite=${rewrite}`]),
    ...(certificate === undefined ? [] : [`cert=${certificate}`]),
    ...(issuer === undefined ? [] : [`issuer=${issuer}`]),
  ].join(" ");
}
