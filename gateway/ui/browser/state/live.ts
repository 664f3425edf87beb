import { type Signal, signal } from "@preact/signals";
import { UI_TOPICS, type UiTopic, type UiTopics, type UiUpdate } from "../../../../contract/ui/stream.ts";
import { ApiError, ask } from "../api.ts";
import { readEvents } from "./read-events.ts";
import { clockAhead, now, session } from "./session.ts";
import { refresh } from "./session-watch.ts";
import { ALONE, type SharedReading, shareReading } from "./shared-reading.ts";

export interface Topic<T extends UiTopic> {
  /** By key; undefined until the first of them have come. */
  readonly rows: ReadonlyMap<string, UiTopics[T]> | undefined;
  /** Why there are none. */
  readonly problem?: string | undefined;
}

type Topics = { readonly [T in UiTopic]: Signal<Topic<T>> };

/** What goes on, as the gateway tells it; one stream for the whole page. */
export const live: Topics = {
  functions: signal<Topic<"functions">>({ rows: undefined }),
  queue: signal<Topic<"queue">>({ rows: undefined }),
  events: signal<Topic<"events">>({ rows: undefined }),
  platform: signal<Topic<"platform">>({ rows: undefined }),
};

/** Whether the stream has been broken for a while. */
export const isAway = signal(false);

/** Why the gateway does not let the page follow, if it is there. */
export const refusal = signal<string | undefined>(undefined);

const RETRY_MS = [500, 1_000, 2_000, 5_000] as const;
/** The gateway says something at least so often. */
const SILENCE_MS = 40_000;
/** A stream that is away for so long is told of. */
const AWAY_MS = 5_000;
/** A page that nobody sees lets go of the stream. */
const HIDDEN_MS = 60_000;

/** What one tab reads, and tells the others. */
interface Told {
  readonly name: "snapshot" | "patch";
  readonly update: UiUpdate;
}

let away: ReturnType<typeof setTimeout> | undefined;

/** Follows all topics until `signal` aborts; starts again whenever the stream breaks. */
export async function follow(signal: AbortSignal): Promise<void> {
  const tabs = openTabs();
  for (let failures = 0; !signal.aborted; ) {
    await whenVisible(signal);
    await whenSignedIn(signal);
    const round = new AbortController();
    const watch = watchHidden(() => round.abort());
    try {
      const stop = AbortSignal.any([signal, round.signal]);
      const read = () =>
        readStream(stop, (told) => {
          failures = 0;
          hear(told);
          if (told) tabs.tell(told);
        });
      await tabs.read(read, stop);
    } catch (error) {
      // Told by the banner; what else it was is in the gateway's log.
      refusal.value = error instanceof ApiError && error.status > 0 ? error.message : undefined;
    } finally {
      watch();
    }
    if (signal.aborted) break;
    if (session.value?.state === "signedOut") continue;
    away ??= setTimeout(() => {
      isAway.value = true;
    }, AWAY_MS);
    await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] as number, signal);
  }
  clearTimeout(away);
  away = undefined;
  tabs.close();
}

/** Tabs share a stream where nobody listens to them who could not ask for it himself. */
function openTabs(): SharedReading<Told> {
  const { ownOrigin = false, state } = session.value ?? {};
  return ownOrigin || state === "open" ? shareReading(hear, snapshots) : ALONE;
}

/** @param heard told of each update; of undefined when the gateway is only alive */
async function readStream(signal: AbortSignal, heard: (told: Told | undefined) => void): Promise<void> {
  const round = new AbortController();
  let silence = setTimeout(() => round.abort(), SILENCE_MS);
  try {
    const answer = await ask(`/ui/api/stream?topics=${UI_TOPICS.join(",")}`, {
      headers: { accept: "text/event-stream" },
      signal: AbortSignal.any([signal, round.signal]),
    });
    for await (const { name, data } of readEvents(answer)) {
      clearTimeout(silence);
      silence = setTimeout(() => round.abort(), SILENCE_MS);
      const isUpdate = name === "snapshot" || name === "patch";
      heard(isUpdate ? { name, update: JSON.parse(data) as UiUpdate } : undefined);
    }
  } finally {
    clearTimeout(silence);
  }
}

/** The gateway is there, by this tab's stream or by another's. */
function hear(told: Told | undefined): void {
  clearTimeout(away);
  away = undefined;
  // Perhaps another one that has come in its place.
  if (isAway.value) void refresh();
  isAway.value = false;
  if (told) take(told.name, told.update);
}

/** All that is known, for a tab that knows nothing yet. */
function snapshots(): Told[] {
  const known = UI_TOPICS.filter((topic) => live[topic].value.rows);
  return known.map((topic) => {
    const { rows = [], problem } = live[topic].value as Topic<UiTopic>;
    const update: UiUpdate = {
      topic,
      rows: Object.fromEntries(rows),
      now: now(),
      ...(problem !== undefined && { problem }),
    };
    return { name: "snapshot", update };
  });
}

/** Exported for tests. */
export function take(name: "snapshot" | "patch", { topic, rows, gone = [], problem, now: at }: UiUpdate): void {
  clockAhead.value = at - Date.now();
  const target = live[topic] as Signal<Topic<UiTopic>>;
  // Of a tab that has not told all of it yet.
  if (name === "patch" && !target.value.rows) return;
  const next = new Map(name === "snapshot" ? [] : target.value.rows);
  for (const [key, row] of Object.entries(rows)) next.set(key, row);
  for (const key of gone) next.delete(key);
  target.value = { rows: next, problem };
}

/** Nobody is to see what was shown. */
export function forgetLive(): void {
  for (const topic of UI_TOPICS) (live[topic] as Signal<Topic<UiTopic>>).value = { rows: undefined };
}

function watchHidden(leave: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const changed = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(leave, HIDDEN_MS);
  };
  document.addEventListener("visibilitychange", changed);
  changed();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", changed);
  };
}

async function whenVisible(signal: AbortSignal): Promise<void> {
  while (document.hidden && !signal.aborted) {
    await new Promise((resolve) => {
      document.addEventListener("visibilitychange", resolve, { once: true, signal });
      signal.addEventListener("abort", resolve, { once: true });
    });
  }
}

async function whenSignedIn(signal: AbortSignal): Promise<void> {
  if (session.value?.state !== "signedOut") return;
  await new Promise<void>((resolve) => {
    const stop = session.subscribe((said) => {
      if (said?.state === "signedOut" && !signal.aborted) return;
      queueMicrotask(() => stop());
      resolve();
    });
    signal.addEventListener("abort", () => {
      stop();
      resolve();
    });
  });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
  });
}
