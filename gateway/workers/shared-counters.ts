import { type Occupancies, type Occupancy, OwnOccupancy } from "../proxy/occupancy.ts";
import { SharedOccupancy } from "./shared-occupancy.ts";

/** What threads share of one function. */
export interface FunctionCounters {
  /** Of this function, and of none of its name before or after it. */
  readonly id: number;
  readonly waiting: SharedArrayBuffer;
  /** By address. */
  readonly replicas: ReadonlyMap<string, SharedArrayBuffer>;
}

interface Shared {
  readonly id: number;
  readonly waiting: SharedOccupancy;
  readonly replicas: Map<string, SharedOccupancy>;
}

/** The thread that makes the numbers which all share, for the functions of its table. */
export const MAIN_THREAD = 0;

/** Numbers that threads share, in the thread that has the one table. */
export class SharedCounters implements Occupancies {
  readonly #threads: number;
  readonly #functions = new Map<string, Shared>();
  #lastId = 0;

  /** @param threads all, this one included */
  constructor(threads: number) {
    this.#threads = threads;
  }

  ofWaiting(functionName: string): Occupancy {
    const waiting = this.#create(() => {
      if (this.#functions.get(functionName) === shared) this.#functions.delete(functionName);
    });
    const shared: Shared = { id: ++this.#lastId, waiting, replicas: new Map() };
    this.#functions.set(functionName, shared);
    return waiting;
  }

  ofReplica(functionName: string, address: string): Occupancy {
    const replicas = this.#functions.get(functionName)?.replicas;
    const occupancy: SharedOccupancy = this.#create(() => {
      if (replicas?.get(address) === occupancy) replicas.delete(address);
    });
    replicas?.set(address, occupancy);
    return occupancy;
  }

  #create(closed: () => void): SharedOccupancy {
    return new SharedOccupancy(SharedOccupancy.allocate(this.#threads), MAIN_THREAD, closed);
  }

  /** For the other threads; undefined when there is no such function. */
  of(functionName: string): FunctionCounters | undefined {
    const shared = this.#functions.get(functionName);
    if (!shared) return undefined;
    const replicas = new Map<string, SharedArrayBuffer>();
    for (const [address, { buffer }] of shared.replicas) replicas.set(address, buffer);
    return { id: shared.id, waiting: shared.waiting.buffer, replicas };
  }

  idOf(functionName: string): number | undefined {
    return this.#functions.get(functionName)?.id;
  }

  /** Calls of a function that wait in one thread. */
  waitingIn(thread: number, functionName: string): number {
    return this.#functions.get(functionName)?.waiting.of(thread) ?? 0;
  }

  /** A thread has died. */
  forget(thread: number): void {
    for (const { waiting, replicas } of this.#functions.values()) {
      waiting.forget(thread);
      for (const replica of replicas.values()) replica.forget(thread);
    }
  }
}

/** Numbers that another thread has made. */
export class ReceivedCounters implements Occupancies {
  readonly #thread: number;
  readonly #functions = new Map<string, FunctionCounters>();

  /** @param thread number of this one */
  constructor(thread: number) {
    this.#thread = thread;
  }

  /** Before the table learns of the function, or of its replicas. */
  receive(functionName: string, counters: FunctionCounters): void {
    this.#functions.set(functionName, counters);
  }

  remove(functionName: string): void {
    this.#functions.delete(functionName);
  }

  idOf(functionName: string): number | undefined {
    return this.#functions.get(functionName)?.id;
  }

  ofWaiting(functionName: string): Occupancy {
    return this.#open(this.#functions.get(functionName)?.waiting);
  }

  ofReplica(functionName: string, address: string): Occupancy {
    return this.#open(this.#functions.get(functionName)?.replicas.get(address));
  }

  #open(buffer: SharedArrayBuffer | undefined): Occupancy {
    return buffer ? new SharedOccupancy(buffer, this.#thread) : new OwnOccupancy();
  }
}
