import { placesFor } from "../../worker/places.ts";
import type { LaneFeed } from "./lane-feed.ts";

const MAX_BATCH = 256;

export interface RequestOptions {
  /** Places of this process. */
  readonly concurrency: number;
  /** Of them, those of calls in hand. */
  readonly taken: number;
  readonly limitOf: (feed: LaneFeed) => number;
}

/** Asks for as many calls as there are free places, shared among the functions that are known to have some. */
export function askForMore(feeds: Iterable<LaneFeed>, { concurrency, taken, limitOf }: RequestOptions): void {
  let free = concurrency - taken;
  const askable: LaneFeed[] = [];
  let backlogs = 0;
  for (const feed of feeds) {
    free -= feed.expected;
    if (!feed.askable) continue;
    askable.push(feed);
    if (feed.backlog > 0) backlogs++;
  }
  if (free <= 0) return;
  const share = Math.max(1, Math.floor(free / Math.max(1, backlogs)));
  for (const feed of askable) {
    const own = feed.running + feed.waiting.length;
    const room = feed.shareOf(limitOf(feed)) - own;
    if (room <= 0) continue;
    if (feed.backlog === 0) {
      // One call that may come at any time; it says how many follow. Takes no place while it does not.
      feed.ask(1);
      continue;
    }
    const places = placesFor({ concurrency, taken: concurrency - Math.max(0, free), own });
    if (places === 0) continue;
    const before = feed.expected;
    feed.ask(Math.min(room, share, places, MAX_BATCH));
    free -= feed.expected - before;
  }
}
