import { useEffect, useState } from "preact/hooks";
import { token } from "../state/session.ts";

/** What was asked for, as far as it has come. */
export interface Asked<T> {
  readonly value: T | undefined;
  readonly error: unknown;
  /** Asks again; what there is stays until the answer has come. */
  reload(): void;
}

/**
 * Asks when the screen is shown, when `key` changes, and every `everyMs` if given.
 * @param load gets a signal that aborts when nobody wants the answer any more
 */
export function useAsked<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Asked<T> {
  const [state, setState] = useState<{ key: string; value?: T; error?: unknown }>({ key });
  const [round, setRound] = useState(0);
  // Who signs in again sees what there is now.
  const asking = token.value;
  useEffect(() => {
    const leaving = new AbortController();
    load(leaving.signal).then(
      (value) => leaving.signal.aborted || setState({ key, value }),
      (error: unknown) =>
        leaving.signal.aborted || setState((before) => ({ ...(before.key === key ? before : { key }), error })),
    );
    const timer = everyMs === undefined ? undefined : setTimeout(() => setRound((n) => n + 1), everyMs);
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
