import type { FunctionRef } from "../functions.ts";

const VERSION = /^v[1-9]\d{0,8}$/;
const TAG = /^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/;
/** What stands for a version without being one, so that no tag may be called so. */
const WORDS = new Set(["latest", "stable", "previous", "candidate"]);

/** Whether `text` is a version as the platform numbers them: `v1`, `v2`, … */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/** Whether `text` may be a tag: at most 40 of a-z, 0-9 and -, from a letter on, and nothing that means a version. */
export function isTag(text: string): boolean {
  return TAG.test(text) && !VERSION.test(text) && !WORDS.has(text);
}

const NAME = /^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;

/** Whether `text` may be the user's own name of a version: at most 63 letters, digits, and - _ . within; no other's name. */
export function isVersionName(text: string): boolean {
  return NAME.test(text) && !VERSION.test(text) && !WORDS.has(text);
}

export function versionNumber(version: string): number {
  return Number(version.slice(1));
}

/** A function, and one of its versions or tags where that is said. */
export interface VersionRef extends FunctionRef {
  /** `v3`, or a tag. */
  readonly version?: string;
}

/** `name@version`: how URLs, the endpoints stream and backends write one version of a function. */
export function versionedName(name: string, version: string): string {
  return `${name}@${version}`;
}

/** Takes `name@version` apart; other names are as they are. */
export function parseVersionedName(text: string): { readonly name: string; readonly version?: string } {
  const at = text.indexOf("@");
  return at < 0 ? { name: text } : { name: text.slice(0, at), version: text.slice(at + 1) };
}
