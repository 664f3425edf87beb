import { WHOLE } from "../../../contract/versions/traffic.ts";
import { versionNumber } from "../../../contract/versions/version-name.ts";

/** What part of the calls a version gets. */
export interface Share {
  readonly version: string;
  /** In hundredths of a percent; more than 0. */
  readonly share: number;
}

/** Of one key; more of it than anybody needs to tell keys apart is not read. */
const MAX_KEY_CHARS = 512;

/**
 * Adds up what targets give the same version, and leaves out those without calls.
 * @param targets shares that add up to all calls
 */
export function sharesOf(targets: readonly Share[]): Share[] {
  const shares = new Map<string, number>();
  for (const { version, share } of targets) {
    if (share > 0) shares.set(version, (shares.get(version) ?? 0) + share);
  }
  return [...shares].map(([version, share]) => ({ version, share }));
}

/**
 * Which of `shares` a call gets that is for itself.
 * @param random at least 0 and less than 1
 */
export function chooseByShare(shares: readonly Share[], random: number): number {
  let slot = Math.floor(random * WHOLE);
  const last = shares.length - 1;
  for (let at = 0; at < last; at++) {
    slot -= (shares[at] as Share).share;
    if (slot < 0) return at;
  }
  return last;
}

/**
 * Which of `shares` the calls of one key get: weighted rendezvous hashing. A version whose share changes takes keys from
 * the others, or gives them some; between those nothing moves. All gateways choose the same.
 */
export function chooseByKey(shares: readonly Share[], key: string): number {
  const [high, low] = hash(key);
  let best = 0;
  let bestScore = 0;
  for (let at = 0; at < shares.length; at++) {
    const { version, share } = shares[at] as Share;
    const score = -share / Math.log(uniform(high, low, versionNumber(version)));
    if (score <= bestScore) continue;
    best = at;
    bestScore = score;
  }
  return best;
}

/** Two lanes, so that keys that meet in one differ in the other. */
function hash(key: string): [high: number, low: number] {
  let high = 0x9e3779b9;
  let low = 0x7f4a7c15;
  const end = Math.min(key.length, MAX_KEY_CHARS);
  for (let at = 0; at < end; at++) {
    const unit = key.charCodeAt(at);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x5bd1e995) + at;
  }
  return [high, low];
}

const TWO_POW_26 = 2 ** 26;
const TWO_POW_53 = 2 ** 53;

/** More than 0 and less than 1, evenly over all keys and versions. */
function uniform(high: number, low: number, version: number): number {
  const one = mix(high ^ Math.imul(version, 0x27d4eb2f));
  const other = mix(low ^ one ^ Math.imul(version, 0x165667b1));
  return ((one >>> 5) * TWO_POW_26 + (other >>> 6) + 0.5) / TWO_POW_53;
}

function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
