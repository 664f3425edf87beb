import { FaasError } from "../../../contract/errors.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import { SERIES, SERIES_STEPS, type SeriesName } from "../../../contract/ui/series.ts";
import { type Parameters, readFunction, refuseOthers } from "../../core/dead-letter-query.ts";
import { ALL } from "./series-book.ts";

export interface SeriesQuery {
  /** `name.namespace`, or all functions of a namespace or of the platform: see {@link ALL}. */
  readonly key: string;
  readonly names: readonly SeriesName[];
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly until: number;
  /** At most so many; all there are when undefined. */
  readonly points: number | undefined;
}

const DEFAULT_SPAN_MS = 15 * 60_000;
const MAX_POINTS = SERIES_STEPS.reduce((most, { points }) => Math.max(most, points), 0);

/**
 * The parameters of `GET /ui/api/series`.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readSeriesQuery(given: Parameters, defaultNamespace: string, now: number): SeriesQuery {
  refuseOthers(given, ["function", "namespace", "names", "since", "until", "points"]);
  const until = readMoment("until", given.until) ?? now;
  const since = readMoment("since", given.since) ?? until - DEFAULT_SPAN_MS;
  if (since >= until) throw new FaasError("invalid", "since: must be before until, which is now unless it is given");
  return {
    key: readKey(given, defaultNamespace),
    names: readNames(given.names),
    since,
    until,
    points: readWhole("points", given.points, [2, MAX_POINTS]),
  };
}

function readKey(given: Parameters, defaultNamespace: string): string {
  const { namespace = "" } = given;
  if (!/^[-a-z0-9]{0,253}$/.test(namespace)) throw new FaasError("invalid", "namespace: must be the name of one");
  if (given.function === undefined) return ALL + namespace;
  return qualifiedName(readFunction(given, defaultNamespace) as { name: string; namespace: string });
}

function readNames(text: string | undefined): SeriesName[] {
  const wanted = new Set(text?.split(",") ?? SERIES);
  const known = SERIES.filter((name) => wanted.has(name));
  if (known.length === wanted.size) return known;
  throw new FaasError("invalid", `names: must be some of ${SERIES.join(", ")}, separated by commas`);
}

/** @throws {FaasError} `invalid` */
function readMoment(name: string, text: string | undefined): number | undefined {
  if (text === undefined || /^\d{1,15}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new FaasError("invalid", `${name}: must be a whole number of milliseconds since 1970`);
}

/** @throws {FaasError} `invalid` */
export function readWhole(
  name: string,
  text: string | undefined,
  [least, most]: readonly [number, number],
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new FaasError("invalid", `${name}: must be a whole number from ${least} to ${most}`);
}
