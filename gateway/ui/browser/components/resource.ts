import { useEffect, useState } from "preact/hooks";
import { token } from "../state/session.ts";

/** What was asked for, as far as it has come. */
export interface Asked<T> {
  readonly value: T | undefined;
  readonly error: unknown;
  /** Asks again; what there is stays until the answer has come. */
  reload(): void;
}

interface Known<T> {
  readonly key: string;
  readonly value?: T;
  readonly error?: unknown;
}

/**
 * Asks when the screen is shown, when `key` changes, and `everyMs` after each answer if given; not while nobody can see the page.
 * @param load gets a signal that aborts when nobody wants the answer any more
 */
export function useAsked<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Asked<T> {
  const [state, setState] = useState<Known<T>>({ key });
  const [round, setRound] = useState(0);
  // Who signs in again sees what there is now.
  const asking = token.value;
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = () => setRound((n) => n + 1);
    const settle = (settled: (before: Known<T>) => Known<T>) => {
      if (signal.aborted) return;
      setState(settled);
      // From the answer on: one that takes longer than this is waited for.
      if (everyMs !== undefined) timer = setTimeout(() => whenSeen(again, signal), everyMs);
    };
    load(signal).then(
      (value) => settle(() => ({ key, value })),
      (error: unknown) => settle((before) => ({ ...(before.key === key ? before : { key }), error })),
    );
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [key, round, everyMs, asking]);
  const isCurrent = state.key === key;
  return {
    value: isCurrent ? state.value : undefined,
    error: isCurrent ? state.error : undefined,
    reload: () => setRound((n) => n + 1),
  };
}

/** At once, or when somebody comes back to the page. */
function whenSeen(act: () => void, signal: AbortSignal): void {
  if (document.hidden) document.addEventListener("visibilitychange", act, { once: true, signal });
  else act();
}
