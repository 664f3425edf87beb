/** A name that an image has been built under. */
export interface ImageTag {
  /** `name:tag`. */
  readonly reference: string;
  /** Of the artefact that it means. */
  readonly digest: string;
  /** When it was built or last seen in use, in milliseconds since the epoch. */
  readonly keptSince: number;
}

/** What functions and builds need at this moment. */
export interface ImageUsage {
  /** Artefacts that functions were deployed from, former versions that still run included. */
  readonly digests: ReadonlySet<string>;
  /** `name:tag` of each image that a deployed function names, whatever that means by now. */
  readonly references: ReadonlySet<string>;
  /** Whether a build is about to register it. */
  isHeld(digest: string): boolean;
}

export interface KeepRule {
  /** How long a name is kept that no function uses, in milliseconds. */
  readonly keepMs: number;
  readonly nowMs: number;
  /** Whether names go before that time is over. */
  readonly all: boolean;
}

/** What is to become of an artefact. */
export interface Verdict {
  /** Names that go. */
  readonly forget: readonly string[];
  /** Whether nothing is left that it is kept for. */
  readonly remove: boolean;
}

/** In use, an image is seen at least so often: from the last time on it is kept for its while. */
const SEEN_EVERY_MS = 3600e3;

const isUsed = (tag: ImageTag, usage: ImageUsage) =>
  usage.digests.has(tag.digest) || usage.isHeld(tag.digest) || usage.references.has(tag.reference);

/** @param tags all names of the artefact; one that has none is kept for nobody */
export function judgeArtefact(
  digest: string,
  tags: readonly ImageTag[],
  usage: ImageUsage,
  { keepMs, nowMs, all }: KeepRule,
): Verdict {
  if (usage.digests.has(digest) || usage.isHeld(digest)) return { forget: [], remove: false };
  const overdue = tags.filter((tag) => !isUsed(tag, usage) && (all || nowMs - tag.keptSince >= keepMs));
  return { forget: overdue.map(({ reference }) => reference), remove: overdue.length === tags.length };
}

/** Names whose time is to begin now: those in use, and those from a time that has not come. */
export function namesToRenew(
  tags: readonly ImageTag[],
  usage: ImageUsage,
  { keepMs, nowMs }: Omit<KeepRule, "all">,
): string[] {
  const staleMs = Math.min(SEEN_EVERY_MS, keepMs / 4);
  const renewed = tags.filter((tag) => {
    const ageMs = nowMs - tag.keptSince;
    return ageMs < 0 || (ageMs >= staleMs && isUsed(tag, usage));
  });
  return renewed.map(({ reference }) => reference);
}
