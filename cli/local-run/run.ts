import type { ChildProcess } from "node:child_process";
import { describeError, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { describeChange, isBelow } from "../watch/snapshot.ts";
import { watchFiles } from "../watch/watch-files.ts";
import { type Engine, exitOf } from "./engine.ts";

/** Until it ends by itself or is interrupted; the container goes with it. */
export async function runContainer(io: Io, engine: Engine, name: string, args: readonly string[]): Promise<void> {
  engine.remove(name);
  const child = engine.start(args);
  using interrupted = onInterrupt(io, () => engine.remove(name));
  const code = await exitOf(child);
  if (interrupted.signal.aborted || code === 0) return;
  io.stderr.write(`Error: ${name} has ended with ${code}\n`);
  throw new SilentFailure();
}

export interface WatchedContainer {
  readonly name: string;
  readonly args: readonly string[];
  /** Files and folders that it is made of. */
  readonly roots: readonly string[];
  /** Where contexts are laid out. */
  readonly buildDir: string;
  /** Reads and builds it again. @throws when it cannot be */
  readonly again: () => Promise<Pick<WatchedContainer, "args" | "roots">>;
}

/** Until it is interrupted; one that cannot be built leaves the container as it is. */
export async function runWatched(io: Io, engine: Engine, watched: WatchedContainer): Promise<void> {
  const { name, buildDir, again } = watched;
  using interrupted = onInterrupt(io, () => {});
  let { args, roots } = watched;
  const changes = watchFiles({
    roots: () => roots,
    isIgnored: (path) => isBelow(path, buildDir),
    signal: interrupted.signal,
  });
  // Looked at before the first start, so that no change is lost.
  let next = changes.next();
  const start = () => {
    engine.remove(name);
    return follow(io, name, engine.start(args), interrupted.signal);
  };
  let container = start();
  io.stdout.write(`Watching ${name}. Stop with Ctrl-C.\n`);
  try {
    for (let turn = await next; !turn.done; turn = await next) {
      next = changes.next();
      io.stdout.write(`${name}: changed ${describeChange(turn.value)}\n`);
      try {
        ({ args, roots } = await again());
      } catch (error) {
        io.stderr.write(`Error: ${name}: ${describeError(error)}\n`);
        continue;
      }
      container.replace();
      engine.remove(name);
      await container.ended;
      container = start();
    }
  } finally {
    engine.remove(name);
    await container.ended;
  }
}

/** Tells of the end of a container, unless something else has taken its place. */
function follow(io: Io, name: string, child: ChildProcess, signal: AbortSignal) {
  let isReplaced = false;
  const ended = exitOf(child).then(
    (code) => {
      if (!isReplaced && !signal.aborted)
        io.stderr.write(`${name} has ended with ${code}; it starts again with a change\n`);
    },
    (error: unknown) => void io.stderr.write(`Error: ${name}: ${describeError(error)}\n`),
  );
  return {
    ended,
    replace: () => {
      isReplaced = true;
    },
  };
}

/** Listens to Ctrl-C and the like, for as long as it is wanted. */
function onInterrupt(io: Io, act: () => void): { readonly signal: AbortSignal } & Disposable {
  const interrupted = new AbortController();
  const stop = () => {
    interrupted.abort();
    act();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, stop);
  io.signal?.addEventListener("abort", stop, { once: true });
  return {
    signal: interrupted.signal,
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, stop);
      io.signal?.removeEventListener("abort", stop);
    },
  };
}
