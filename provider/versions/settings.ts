import { listProblems } from "../../contract/clip.ts";
import { parseGoDuration } from "../../contract/duration.ts";
import { FaasError } from "../../contract/errors.ts";
import {
  DEFAULT_ROLLBACK_WINDOW_MS,
  DEFAULT_VERSION_KEEP,
  MAX_ROLLBACK_WINDOW_MS,
  MAX_VERSION_KEEP,
  ROLLBACK_WINDOW,
  VERSION_KEEP,
  VERSION_NAME,
} from "../../contract/versions/function-versions.ts";
import { parseRollout, type RolloutSettings } from "../../contract/versions/rollout-settings.ts";
import { parseTraffic, TRAFFIC, type TrafficTarget } from "../../contract/versions/traffic.ts";
import { isVersionName } from "../../contract/versions/version-name.ts";

type Strings = Readonly<Record<string, string>>;

/** What a function's annotations say of its versions. */
export interface VersionSettings {
  readonly rollout: RolloutSettings;
  /** The annotation's; absent where it has none. */
  readonly traffic?: readonly TrafficTarget[];
  readonly name?: string;
  /** How many versions are kept that nothing refers to. */
  readonly keep: number;
  /** How long a version stays warm after its last share, in milliseconds. */
  readonly windowMs: number;
  /** Whether new versions come up beside the others, and not in their place. */
  readonly beside: boolean;
}

/** @param problems gets a sentence for each annotation that cannot be read, which then counts as absent */
function read(annotations: Strings, problems: string[]): VersionSettings {
  const { settings: rollout, problems: wrong } = parseRollout(annotations);
  problems.push(...wrong);
  const traffic = readTraffic(annotations[TRAFFIC], problems);
  const name = annotations[VERSION_NAME];
  if (name !== undefined && !isVersionName(name))
    problems.push(`${VERSION_NAME}: must be at most 63 letters, digits, and - _ . within`);
  const keepText = annotations[VERSION_KEEP] ?? String(DEFAULT_VERSION_KEEP);
  const keep = /^\d{1,3}$/.test(keepText) ? Number(keepText) : MAX_VERSION_KEEP + 1;
  if (keep > MAX_VERSION_KEEP) problems.push(`${VERSION_KEEP}: must be a whole number of at most ${MAX_VERSION_KEEP}`);
  const windowText = annotations[ROLLBACK_WINDOW];
  const window = windowText === undefined ? DEFAULT_ROLLBACK_WINDOW_MS : parseGoDuration(windowText);
  const isWindow = window !== undefined && window >= 0 && window <= MAX_ROLLBACK_WINDOW_MS;
  if (!isWindow) problems.push(`${ROLLBACK_WINDOW}: must be a duration such as 30m, of at most 168h`);
  const beside =
    rollout.strategy !== "instant" || traffic !== undefined || (windowText !== undefined && isWindow && window > 0);
  return {
    rollout,
    ...(traffic && { traffic }),
    ...(name !== undefined && isVersionName(name) && { name }),
    keep: keep > MAX_VERSION_KEEP ? DEFAULT_VERSION_KEEP : keep,
    windowMs: isWindow ? window : DEFAULT_ROLLBACK_WINDOW_MS,
    beside,
  };
}

function readTraffic(text: string | undefined, problems: string[]): TrafficTarget[] | undefined {
  if (text === undefined) return undefined;
  try {
    return parseTraffic(text);
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}

/** @throws {FaasError} `invalid`, naming each annotation and its rule */
export function parseVersionSettings(annotations: Strings = {}): VersionSettings {
  const problems: string[] = [];
  const settings = read(annotations, problems);
  if (problems.length > 0) throw new FaasError("invalid", `validation failed: ${listProblems(problems)}`);
  return settings;
}

/** Of a function that is there already: what cannot be read counts as absent. */
export function readVersionSettings(annotations: Strings = {}): VersionSettings {
  return read(annotations, []);
}
