import { parseGoDuration } from "../duration.ts";
import { FaasError } from "../errors.ts";
import {
  MAX_ROLLBACK_WINDOW_MS,
  MAX_VERSION_KEEP,
  ROLLBACK_WINDOW,
  SECRETS_TRACK,
  VERSION_KEEP,
  VERSION_NAME,
} from "./function-versions.ts";
import { parseMirror } from "./mirror.ts";
import { parseRollout, ROLLOUT } from "./rollout-settings.ts";
import { parseSticky } from "./sticky.ts";
import { parseTraffic, TRAFFIC, type TrafficTarget } from "./traffic.ts";
import { isVersionName } from "./version-name.ts";

type Annotations = Readonly<Record<string, string>>;

/** Wide enough for what is mistyped. */
const LOOKS_LIKE_ONE = /^com\.faaslane\.(traffic|rollout|rollback|version|sticky|mirror|secrets)/;

/** Rules that a function's annotations about versions and traffic break, a sentence each with its annotation. */
export function versionSettingProblems(annotations: Annotations = {}): readonly string[] {
  if (!Object.keys(annotations).some((name) => LOOKS_LIKE_ONE.test(name))) return [];
  return [
    ...trafficAndRolloutProblems(annotations),
    ...versionProblems(annotations),
    ...parseSticky(annotations).problems,
    ...parseMirror(annotations).problems,
  ].map((problem) => `annotations.${problem}`);
}

function trafficAndRolloutProblems(annotations: Annotations): readonly string[] {
  const { settings, problems } = parseRollout(annotations);
  const text = annotations[TRAFFIC];
  if (text === undefined) return problems;
  let targets: readonly TrafficTarget[];
  try {
    targets = parseTraffic(text);
  } catch (error) {
    if (error instanceof FaasError) return [error.message, ...problems];
    throw error;
  }
  const gradual = settings.strategy === "canary" || settings.strategy === "blue-green";
  if (!gradual || targets.every(({ version, share }) => share === 0 || version === "latest")) return problems;
  return [`${TRAFFIC}: must give all calls to latest, and others tags at 0, with ${ROLLOUT}: ${settings.strategy}`];
}

function versionProblems(annotations: Annotations): string[] {
  const { [VERSION_NAME]: name, [VERSION_KEEP]: keep, [ROLLBACK_WINDOW]: window } = annotations;
  const { [SECRETS_TRACK]: track = "false" } = annotations;
  const problems: string[] = [];
  if (name !== undefined && !isVersionName(name)) {
    problems.push(`${VERSION_NAME}: must be at most 63 letters, digits, and - _ . within, and no version such as v1`);
  }
  if (keep !== undefined && !(/^\d{1,4}$/.test(keep.trim()) && Number(keep) <= MAX_VERSION_KEEP)) {
    problems.push(`${VERSION_KEEP}: must be a whole number of 0 to ${MAX_VERSION_KEEP}`);
  }
  const windowMs = window === undefined ? 0 : parseGoDuration(window.trim());
  if (windowMs === undefined || windowMs < 0 || windowMs > MAX_ROLLBACK_WINDOW_MS) {
    problems.push(`${ROLLBACK_WINDOW}: must be a duration such as 30m, of at most 168h`);
  }
  if (track !== "true" && track !== "false") problems.push(`${SECRETS_TRACK}: must be true or false`);
  return problems;
}
