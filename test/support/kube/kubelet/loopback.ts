import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** Whoever listens on this port of a subnet's first address owns the subnet: other test processes look for another. */
const LOCK_PORT = 47_801;
const ATTEMPTS = 50;

/** Addresses of 127/8 for pods, so that each can have its port 8080. They are no other process's while this is open. */
export class LoopbackSubnet {
  readonly #prefix: string;
  readonly #lock: Server;
  readonly #free: string[];

  private constructor(prefix: string, lock: Server) {
    this.#prefix = prefix;
    this.#lock = lock;
    this.#free = Array.from({ length: 253 }, (_, index) => `${prefix}.${index + 2}`);
  }

  /** @throws when no subnet is free */
  static async open(): Promise<LoopbackSubnet> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const prefix = `127.${randomInt(16, 250)}.${randomInt(256)}`;
      const lock = createServer();
      lock.listen(LOCK_PORT, `${prefix}.1`);
      try {
        await once(lock, "listening");
        return new LoopbackSubnet(prefix, lock.unref());
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      }
    }
    throw new Error("no subnet of 127/8 is free");
  }

  /** @throws when all are taken */
  take(): string {
    const ip = this.#free.shift();
    if (ip === undefined) throw new Error(`all addresses of ${this.#prefix}.0/24 are taken`);
    return ip;
  }

  /** To be taken again after all others, as connections to it may linger. */
  release(ip: string): void {
    this.#free.push(ip);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#lock.close(() => resolve()));
  }
}
