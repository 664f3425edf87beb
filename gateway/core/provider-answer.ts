import { ERROR_HEADER } from "../../contract/error-codes.ts";

/**
 * What an answer that came through a provider says of the call: it is the function's; the provider could not send the
 * call anywhere; who answers is a provider of another kind, which passes on no calls; or something went wrong on the way.
 */
export type ProviderAnswer = "functions" | "undelivered" | "replaced" | "broken";

/** Headers of an answer, by lower-case name. */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Each watchdog puts it into every answer, its function's and its own. */
const WATCHDOG_HEADER = "x-duration-seconds";

/** A provider says 503 with the platform's mark of a function without replicas, and 500 when it lost one on the way. */
export function readProviderAnswer(status: number, headers: Headers): ProviderAnswer {
  if (status < 404 || headers[WATCHDOG_HEADER] !== undefined) return "functions";
  if (status === 404) return headers[ERROR_HEADER] === "unknown_route" ? "replaced" : "broken";
  if (status === 503) return headers["x-openfaas-internal"] === "proxy" ? "undelivered" : "broken";
  if (status === 502 || status === 504) return "broken";
  return status === 500 && headers["x-openfaas-internal"] === "proxy" ? "broken" : "functions";
}

/** A segment that leads upwards, in any writing, as some server on the way may understand it. */
const UPWARDS = /(?:^|[/\\])\.\.(?:[/\\;]|$)/;

/**
 * Whether a path may lead out of the function that it is for, where it is put behind another path. Paths with plain
 * dots never come here.
 * @param url raw path and query
 */
export function leadsOut(url: string): boolean {
  const end = url.indexOf("?");
  const path = end < 0 ? url : url.slice(0, end);
  if (!path.includes("%") && !path.includes("..")) return false;
  let decoded = path;
  // Some decode twice.
  for (let times = 0; times < 2; times++) {
    decoded = decoded.replace(/%(2e|2f|5c|25)/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  return UPWARDS.test(decoded);
}
