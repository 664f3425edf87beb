import type { LogMessage } from "../../contract/logs.ts";

/** How long lines of other replicas are waited for that may be older, in milliseconds. */
const PATIENCE_MS = 100;

interface Source {
  readonly iterator: AsyncIterator<LogMessage>;
  head: LogMessage | undefined;
  pending: Promise<void> | undefined;
  ended: boolean;
  /** It has been waited for in vain since its last line. */
  silent: boolean;
}

type Lines = AsyncIterable<LogMessage>;

/**
 * Lines of several sources as one, oldest first as far as they are there: a silent source holds up the others for a moment only.
 * @param listen tells of sources that come later, until what it returns is called
 */
export async function* mergeLogs(
  sources: readonly Lines[],
  listen: (add: (source: Lines) => void) => () => void = () => () => {},
): AsyncGenerator<LogMessage> {
  const begin = (source: Lines): Source => {
    return {
      iterator: source[Symbol.asyncIterator](),
      head: undefined,
      pending: undefined,
      ended: false,
      silent: false,
    };
  };
  const all = sources.map(begin);
  let added = Promise.withResolvers<void>();
  const stop = listen((source) => {
    all.push(begin(source));
    added.resolve();
  });
  try {
    for (;;) {
      for (const source of all) if (!source.head && !source.ended) source.pending ??= pull(source);
      const waiting = all.flatMap(({ pending }) => pending ?? []);
      const heads = all.filter(({ head }) => head !== undefined);
      if (heads.length === 0 && waiting.length === 0) return;
      if (heads.length === 0) {
        await Promise.race([...waiting, added.promise]);
        added = Promise.withResolvers();
        continue;
      }
      const expected = all.filter(({ pending, silent }) => pending !== undefined && !silent);
      if (expected.length > 0) {
        await briefly(Promise.all(expected.map(({ pending }) => pending)));
        for (const source of expected) source.silent = source.pending !== undefined;
      }
      const oldest = all
        .filter(({ head }) => head !== undefined)
        .reduce((a, b) => ((a.head as LogMessage).timestamp <= (b.head as LogMessage).timestamp ? a : b));
      const line = oldest.head as LogMessage;
      oldest.head = undefined;
      yield line;
    }
  } finally {
    stop();
    // Whoever reads has left; sources end by the same signal.
    for (const { iterator, pending } of all) if (!pending) await iterator.return?.();
  }
}

async function pull(source: Source): Promise<void> {
  const { done, value } = await source.iterator.next();
  source.pending = undefined;
  source.silent = false;
  if (done) source.ended = true;
  else source.head = value;
}

async function briefly(work: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, PATIENCE_MS);
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
