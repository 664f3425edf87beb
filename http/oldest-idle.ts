import type { Socket } from "node:net";
import type { ServedConnection } from "./connection.ts";

interface Listed {
  readonly connection: ServedConnection;
  /** What it was when it was listed. */
  readonly idleAt: number;
}

/** So many are listed at a time: to look at all for each that is to go would take long when many have to. */
const LISTED = 64;

/** Finds connections in the order in which they became idle. */
export class OldestIdle {
  /** Those that had been idle for longest; the oldest at the end. */
  #listed: Listed[] = [];

  /** The one of `all` that has been idle for longest. It is not found again. */
  find(all: ReadonlyMap<Socket, ServedConnection>): Socket | undefined {
    const found = this.#next(all);
    if (found) return found;
    this.#listed = list(all.values());
    return this.#next(all);
  }

  #next(all: ReadonlyMap<Socket, ServedConnection>): Socket | undefined {
    for (let next = this.#listed.pop(); next; next = this.#listed.pop()) {
      const { connection, idleAt } = next;
      const { socket } = connection;
      // Others have been used since, or are gone.
      if (connection.idle && connection.idleAt === idleAt && all.get(socket) === connection) return socket;
    }
    return undefined;
  }
}

function list(all: Iterable<ServedConnection>): Listed[] {
  const idle: Listed[] = [];
  for (const connection of all) if (connection.idle) idle.push({ connection, idleAt: connection.idleAt });
  return idle
    .sort((a, b) => a.idleAt - b.idleAt)
    .slice(0, LISTED)
    .reverse();
}
