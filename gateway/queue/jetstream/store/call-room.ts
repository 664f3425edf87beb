import type { StreamInfo } from "nats";
import { sleep } from "../../../../kit/sleep.ts";
import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";
import { countSubjects } from "../../../nats/count-subjects.ts";
import { addLoads, type CallLoad, fullQueue, NO_LOAD } from "../../call-limits.ts";
import type { CallLimits } from "../../stats.ts";
import { plainSubject, queueStream, STREAMS } from "../client/names.ts";
import { parseLater } from "./later-bucket.ts";

/** How long a count holds; other processes publish, too, and calls end. */
const COUNT_AGE_MS = 1000;
/** Between two counts while there seems to be no room. */
const COUNT_PAUSE_MS = 100;

interface Counted extends CallLoad {
  /** By the subject of the function queue; absent while all calls together are no more than one function may have. */
  readonly functionQueues?: ReadonlyMap<string, number>;
  /** What is stored of members of batches. */
  readonly members: number;
}

export interface CallRoomOptions {
  readonly link: Link;
  readonly limits: CallLimits;
  readonly maxMembers: number;
  readonly queues: () => Promise<readonly string[]>;
  /** Told when the server does not let itself be asked. */
  readonly failed: (error: unknown) => void;
}

/**
 * Bounds unfinished calls where they are taken in. The server is asked in the background, so that nobody waits for a
 * count; in between, each process adds what it takes itself. The server does not know the bytes of one function: they are
 * estimated by its calls, and by the size of those that this process has taken.
 */
export class CallRoom {
  readonly #options: CallRoomOptions;
  #counted: Counted = { ...NO_LOAD, members: 0 };
  #countedAt = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;
  /** A count that has not begun yet, or has just ended. */
  #looking: Promise<void> | undefined;
  /** Taken since the count was begun. */
  #taken = new Map<string, CallLoad>();
  #takenInAll: CallLoad = NO_LOAD;
  #takenMembers = 0;
  /** Mean size of a function's calls, of late. */
  readonly #sizes = new Map<string, number>();

  constructor(options: CallRoomOptions) {
    this.#options = options;
  }

  /**
   * Takes room for a call. Those that have some wait for nothing, so that calls keep their order.
   * @param functionQueue its subject
   * @param members that it adds to batches. Their stream has no limit: it holds what became of them as well, and a call that
   *   has ended must always find room for that.
   * @returns which limit it would pass, for callers to read; it has no room then
   */
  take(functionQueue: string, bytes: number, members: 0 | 1): undefined | Promise<string | undefined> {
    if (this.#isOlderThan(COUNT_AGE_MS)) void this.count();
    return this.#take(functionQueue, bytes, members) === undefined
      ? undefined
      : this.#lookAgain(functionQueue, bytes, members);
  }

  /** What was taken while the last count went on may have been counted twice. */
  async #lookAgain(functionQueue: string, bytes: number, members: 0 | 1): Promise<string | undefined> {
    this.#looking ??= this.#countSoon().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
    return this.#take(functionQueue, bytes, members);
  }

  async #countSoon(): Promise<void> {
    await this.#counting;
    await sleep(Math.max(0, this.#countedAt + COUNT_PAUSE_MS - performance.now()));
    await this.count(true);
  }

  #isOlderThan(ms: number): boolean {
    return performance.now() - this.#countedAt > ms;
  }

  #take(functionQueue: string, bytes: number, members: 0 | 1): string | undefined {
    const size = this.#learn(functionQueue, bytes);
    const { limits, maxMembers } = this.#options;
    if (members > 0 && this.#counted.members + this.#takenMembers >= maxMembers) {
      return "the queue is full: too many members of batches";
    }
    const taken = this.#taken.get(functionQueue) ?? NO_LOAD;
    const all = addLoads(this.#counted, this.#takenInAll);
    const why = fullQueue(limits, bytes, all, addLoads(this.#ofFunctionQueue(functionQueue, size), taken));
    if (why !== undefined) return why;
    const one = { calls: 1, bytes };
    this.#taken.set(functionQueue, addLoads(taken, one));
    this.#takenInAll = addLoads(this.#takenInAll, one);
    this.#takenMembers += members;
    return undefined;
  }

  /** At most, when function queues have not been counted. */
  #ofFunctionQueue(functionQueue: string, size: number): CallLoad {
    const { functionQueues, calls, bytes } = this.#counted;
    if (!functionQueues) return { calls, bytes };
    const own = functionQueues.get(functionQueue) ?? 0;
    return { calls: own, bytes: Math.min(bytes, own * size) };
  }

  #learn(functionQueue: string, bytes: number): number {
    if (this.#sizes.size >= MAX_REMEMBERED) this.#sizes.clear();
    const before = this.#sizes.get(functionQueue) ?? bytes;
    const size = before + (bytes - before) * LEARNING;
    this.#sizes.set(functionQueue, size);
    return size;
  }

  /** Asks the server. Never rejects. @param withFunctionQueues also where all calls are few */
  count(withFunctionQueues = false): Promise<void> {
    this.#counting ??= this.#countAnew(withFunctionQueues).finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #countAnew(withFunctionQueues: boolean): Promise<void> {
    const [taken, takenInAll, takenMembers] = [this.#taken, this.#takenInAll, this.#takenMembers];
    this.#taken = new Map();
    this.#takenInAll = NO_LOAD;
    this.#takenMembers = 0;
    try {
      this.#counted = await this.#ask(withFunctionQueues);
    } catch (error) {
      // As it was; publishing will show whether the server is there at all.
      this.#addBack(taken, takenInAll);
      this.#takenMembers += takenMembers;
      this.#options.failed(error);
    }
    this.#countedAt = performance.now();
  }

  #addBack(taken: ReadonlyMap<string, CallLoad>, inAll: CallLoad): void {
    for (const [functionQueue, load] of taken)
      this.#taken.set(functionQueue, addLoads(this.#taken.get(functionQueue) ?? NO_LOAD, load));
    this.#takenInAll = addLoads(this.#takenInAll, inAll);
  }

  async #ask(withFunctionQueues: boolean): Promise<Counted> {
    const { link, limits, queues } = this.#options;
    const streams = (await queues()).map(queueStream);
    const [{ calls, bytes }, { messages: members }] = await Promise.all([
      countStored(link, streams),
      stateOf(link, STREAMS.members),
    ]);
    if (!withFunctionQueues && calls < limits.functionCalls && bytes < limits.functionBytes)
      return { calls, bytes, members };
    const functionQueues = new Map<string, number>();
    const add = (functionQueue: string | undefined, count: number) => {
      if (functionQueue !== undefined)
        functionQueues.set(functionQueue, (functionQueues.get(functionQueue) ?? 0) + count);
    };
    await Promise.all([
      ...streams.map(async (stream) => {
        for (const [subject, count] of await countSubjects(link, stream, ">")) add(plainSubject(subject), count);
      }),
      countSubjects(link, STREAMS.later, "FAASLANE.later.>").then((counts) => {
        for (const [subject, count] of counts) add(parseLater(subject)?.functionQueue, count);
      }),
    ]);
    return { calls, bytes, members, functionQueues };
  }
}

const MAX_REMEMBERED = 10_000;
/** Weight of the latest call in the mean. */
const LEARNING = 1 / 16;

/** Calls in these streams and those for later, with the large bodies that lie apart. */
export async function countStored(link: Link, streams: readonly string[]): Promise<CallLoad> {
  const states = await Promise.all([...streams, STREAMS.later].map((stream) => stateOf(link, stream)));
  const bodies = await stateOf(link, STREAMS.bodies);
  return {
    calls: states.reduce((sum, { messages }) => sum + messages, 0),
    bytes: states.reduce((sum, { bytes }) => sum + bytes, bodies.bytes),
  };
}

async function stateOf(link: Link, stream: string): Promise<{ readonly messages: number; readonly bytes: number }> {
  try {
    return (await link.api<StreamInfo>(`STREAM.INFO.${stream}`)).state;
  } catch (error) {
    if (isApiError(error, API_ERRORS.streamNotFound)) return { messages: 0, bytes: 0 };
    throw error;
  }
}
