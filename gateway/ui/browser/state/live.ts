import { type Signal, signal } from "@preact/signals";
import { UI_TOPICS, type UiTopic, type UiTopics, type UiUpdate } from "../../../../contract/ui/stream.ts";
import { ask } from "../api.ts";
import { readEvents } from "./read-events.ts";
import { clockAhead } from "./session.ts";

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

const RETRY_MS = [500, 1_000, 2_000, 5_000] as const;
/** The gateway says something at least so often. */
const SILENCE_MS = 40_000;
/** A stream that is away for so long is told of. */
const AWAY_MS = 5_000;
/** A page that nobody sees lets go of the stream. */
const HIDDEN_MS = 60_000;

/** Follows all topics until `signal` aborts; starts again whenever the stream breaks. */
export async function follow(signal: AbortSignal): Promise<void> {
  let away: ReturnType<typeof setTimeout> | undefined;
  for (let failures = 0; !signal.aborted; ) {
    await whenVisible(signal);
    const round = new AbortController();
    const stop = AbortSignal.any([signal, round.signal]);
    const watch = watchHidden(() => round.abort());
    let silence = setTimeout(() => round.abort(), SILENCE_MS);
    try {
      const answer = await ask(`/ui/api/stream?topics=${UI_TOPICS.join(",")}`, {
        headers: { accept: "text/event-stream" },
        signal: stop,
      });
      for await (const { name, data } of readEvents(answer)) {
        failures = 0;
        clearTimeout(away);
        away = undefined;
        isAway.value = false;
        clearTimeout(silence);
        silence = setTimeout(() => round.abort(), SILENCE_MS);
        if (name === "snapshot" || name === "patch") take(name, JSON.parse(data) as UiUpdate);
      }
    } catch {
      // Told by the banner; what it was is in the gateway's log.
    } finally {
      clearTimeout(silence);
      watch();
    }
    if (signal.aborted) break;
    away ??= setTimeout(() => {
      isAway.value = true;
    }, AWAY_MS);
    await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] as number, signal);
  }
  clearTimeout(away);
}

/** Exported for tests. */
export function take(name: "snapshot" | "patch", { topic, rows, gone = [], problem, now }: UiUpdate): void {
  clockAhead.value = now - Date.now();
  const target = live[topic] as Signal<Topic<UiTopic>>;
  const next = new Map(name === "snapshot" ? [] : target.value.rows);
  for (const [key, row] of Object.entries(rows)) next.set(key, row);
  for (const key of gone) next.delete(key);
  target.value = { rows: next, problem };
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
