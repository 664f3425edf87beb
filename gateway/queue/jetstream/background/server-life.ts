import { readAlias, writeAlias } from "../store/aliases.ts";
import type { Context } from "../store/context.ts";

/**
 * Since when the server that this process is connected to has been running, as far as anybody knows. One that was
 * killed may have forgotten the last of what had been acknowledged: what it stored before needs a second look.
 */
export class ServerLife {
  readonly #context: Context;
  #id: string | undefined;
  #since = Date.now();
  #known: Promise<void> = Promise.resolve();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Not later than this, give or take the difference of clocks; in milliseconds since the epoch. */
  get since(): number {
    return this.#since;
  }

  /** Whatever is stored by now needs a second look, as its consumer is made anew. */
  distrust(): void {
    this.#since = Date.now();
  }

  /** Resolves when it is known as well as it can be; never rejects. */
  get known(): Promise<void> {
    return this.#known;
  }

  /**
   * To be called with each new connection.
   * @returns whether it leads to another server than before, or to one that was started anew
   */
  renew(): boolean {
    const id = this.#context.link.nc.info?.server_id;
    if (id === undefined || id === this.#id) return false;
    this.#id = id;
    const now = Date.now();
    this.#since = now;
    this.#known = this.#firstSeen(id, now).then(
      (at) => {
        if (this.#id === id) this.#since = Math.min(now, at);
      },
      // More is looked up than need be.
      (err: unknown) => this.#context.settings.log.debug({ err }, "since when the server runs cannot be looked up"),
    );
    return true;
  }

  async #firstSeen(id: string, now: number): Promise<number> {
    const at = Number(await readAlias(this.#context, { kind: "server", id }));
    if (at > 0) return at;
    await writeAlias(this.#context, { kind: "server", id }, String(now));
    return now;
  }
}
