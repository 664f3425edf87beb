/** Tabs of one browser, of which one reads a stream at a time and tells the others. */
export interface SharedReading<T> {
  /** Reads, once no other tab does. @returns when it has ended, or `signal` has aborted */
  read(reading: () => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Tells the other tabs. */
  tell(said: T): void;
  close(): void;
}

const NAME = "faaslane-stream";
/** What a tab says that has come anew. */
const HELLO = "hello";

/** For pages that have no other tabs to share with, or must not. */
export const ALONE: SharedReading<unknown> = { read: (reading) => reading(), tell: () => {}, close: () => {} };

/**
 * @param heard told of what the tab that reads has said
 * @param greet what to tell a tab that has come anew
 * @see https://www.w3.org/TR/web-locks/ of secure contexts only: otherwise each tab reads by itself
 */
export function shareReading<T>(heard: (said: T) => void, greet: () => readonly T[]): SharedReading<T> {
  if (!("locks" in navigator) || typeof BroadcastChannel === "undefined") return ALONE;
  const channel = new BroadcastChannel(NAME);
  let isReading = false;
  channel.onmessage = ({ data }: MessageEvent<T | typeof HELLO>) => {
    if (data !== HELLO) heard(data as T);
    else if (isReading) for (const said of greet()) channel.postMessage(said);
  };
  channel.postMessage(HELLO);
  return {
    read: async (reading, signal) => {
      const asReader = async () => {
        isReading = true;
        try {
          await reading();
        } finally {
          isReading = false;
        }
      };
      await navigator.locks.request(NAME, { signal }, asReader);
    },
    tell: (said) => channel.postMessage(said),
    close: () => channel.close(),
  };
}
