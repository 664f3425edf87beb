import { readFileSync } from "node:fs";
import { killTree, listChildren } from "../../kill-tree.ts";

/** Every process of a call inherits it, whichever group or session it has moved to. */
const MARK_VARIABLE = "FAASLANE_CALL";

/**
 * Looking costs a few reads for each process that runs beside ours, so under load one look serves many calls, and looking
 * takes a hundredth of the time at most.
 */
const SOON_MS = 50;
const BETWEEN_LOOKS_MS = 1000;
const PAUSE_PER_LOOK = 100;
/** For processes that start others as fast as they are killed. */
const MAX_ROUNDS = 20;

/**
 * Ends what the process of a call has left running in the background when the call is over. Such processes have lost their
 * parent, and are told from strangers by a mark in their environment; one that has cleared it is not found.
 */
export class CallOrphans {
  readonly #prefix = `${crypto.randomUUID()}.`;
  readonly #active = new Set<string>();
  #lastCall = 0;
  #timer: NodeJS.Timeout | undefined;
  #nextLookAt = 0;

  /** The variable, as a name and a value, for the processes of a call that begins now. */
  begin(): readonly [name: string, mark: string] {
    this.#lastCall++;
    const mark = this.#prefix + this.#lastCall;
    this.#active.add(mark);
    return [MARK_VARIABLE, mark];
  }

  /** The call is over; what it has left will be looked for soon. */
  end(mark: string): void {
    if (!this.#active.delete(mark)) return;
    const waitMs = Math.max(SOON_MS, this.#nextLookAt - performance.now());
    this.#timer ??= setTimeout(() => this.look(), waitMs).unref();
  }

  /** Ends what calls that are over have left. */
  look(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const startedAt = performance.now();
    const parents = [process.pid, ...ancestors(process.ppid)];
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const orphans = parents.flatMap(listChildren).filter((pid) => this.#isOver(markOf(pid)));
      if (orphans.length === 0) break;
      for (const pid of orphans) killTree(pid);
    }
    const endedAt = performance.now();
    this.#nextLookAt = endedAt + Math.max(BETWEEN_LOOKS_MS, PAUSE_PER_LOOK * (endedAt - startedAt));
  }

  /** No call is under way any more. */
  close(): void {
    this.#active.clear();
    this.look();
  }

  #isOver(mark: string | undefined): boolean {
    return mark?.startsWith(this.#prefix) === true && !this.#active.has(mark);
  }
}

/** Those to whom the system gives processes that have lost their parent: `pid` and its parents, up to the first process. */
function ancestors(pid: number): number[] {
  const found: number[] = [];
  for (let next = pid; next > 0 && found.length < 100; next = parentOf(next)) found.push(next);
  return found;
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name, in brackets, may hold anything.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ", 2)[1]);
  } catch {
    return 0;
  }
}

function markOf(pid: number): string | undefined {
  let environment: string;
  try {
    environment = `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`;
  } catch {
    return undefined; // it has ended, or is not ours to look at
  }
  const opening = `\0${MARK_VARIABLE}=`;
  const at = environment.indexOf(opening);
  if (at === -1) return undefined;
  const end = environment.indexOf("\0", at + opening.length);
  return environment.slice(at + opening.length, end === -1 ? undefined : end);
}
