import type { DeadLetterList } from "../../../../../contract/calls.ts";
import { withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import type { LetterFilter } from "./acts.ts";

const PAGE = 1_000;
const MAX_PAGES = 20;

/** How many dead letters match, as far as they are counted. */
export async function countLetters(
  filter: LetterFilter,
  signal: AbortSignal,
): Promise<{ readonly count: number; readonly more: boolean }> {
  let count = 0;
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const path = withQuery("/system/queue/dead-letters", { ...filter, limit: String(PAGE), after });
    const { items, next } = await askJson<DeadLetterList>(path, { signal });
    count += items.length;
    if (next === undefined) return { count, more: false };
    after = next;
  }
  return { count, more: true };
}
