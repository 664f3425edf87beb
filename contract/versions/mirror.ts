import { parsePercent } from "./traffic.ts";
import { isVersion } from "./version-name.ts";

/** Annotation with the version that gets copies of calls, and of what part of them. */
export const MIRROR = "com.faaslane.mirror";
/** Annotation with the methods of calls that are copied. */
export const MIRROR_METHODS = "com.faaslane.mirror.methods";
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const DEFAULT_METHODS: readonly string[] = ["GET", "HEAD"];

/** Copies of some calls go to a version, whose answers nobody gets. */
export interface Mirror {
  readonly version: string;
  /** In hundredths of a percent. */
  readonly share: number;
}

export interface ParsedMirror {
  /** Absent where the annotations name no version; a rollout may. */
  readonly mirror?: Mirror;
  /** Of calls that are copied, by either. */
  readonly methods: readonly string[];
  /** A sentence for each annotation that cannot be read, with its name and rule. */
  readonly problems: readonly string[];
}

/** Reads `com.faaslane.mirror` and what belongs to it. */
export function parseMirror(annotations: Readonly<Record<string, string>> = {}): ParsedMirror {
  const problems = Object.keys(annotations).flatMap((name) =>
    name.startsWith(`${MIRROR}.`) && name !== MIRROR_METHODS ? [`${name}: is unknown; there is ${MIRROR_METHODS}`] : [],
  );
  const text = annotations[MIRROR]?.trim();
  const mirror = text === undefined ? undefined : readMirror(text);
  if (text !== undefined && mirror === undefined) {
    problems.push(`${MIRROR}: "${text}" must be VERSION=PERCENT such as v8=10, of 0 to 100 with two decimals`);
  }
  const listed = annotations[MIRROR_METHODS]?.split(",").map((method) => method.trim().toUpperCase());
  const methods = listed ?? DEFAULT_METHODS;
  if (methods.some((method) => !METHODS.has(method))) {
    problems.push(`${MIRROR_METHODS}: must be methods such as GET,POST, of ${[...METHODS].join(", ")}`);
  }
  return { ...(mirror && { mirror }), methods, problems };
}

function readMirror(text: string): Mirror | undefined {
  const [, version = "", percent = ""] = /^([^=]*)=([^=]*)$/.exec(text) ?? [];
  const share = parsePercent(percent);
  return isVersion(version) && share !== undefined ? { version, share } : undefined;
}
