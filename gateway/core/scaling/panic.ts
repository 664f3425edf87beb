/** Whether a burst is under way, and the most replicas it has asked for: while it lasts nothing is taken away. */
export class Panic {
  #since: number | undefined;
  #most = 0;

  get on(): boolean {
    return this.#since !== undefined;
  }

  get most(): number {
    return this.#most;
  }

  /** A gateway that begins to watch in the middle must not take away replicas whose reason it has not seen. */
  beginWith(replicas: number, now: number): void {
    this.#since = now;
    this.#most = replicas;
  }

  /** @param over whether the desired number is so far above what there is that it is a burst */
  update(over: boolean, desired: number, windowMs: number, now: number): void {
    if (over) this.#since = now;
    else if (this.#since !== undefined && this.#since + windowMs < now) {
      this.#since = undefined;
      this.#most = 0;
    }
    if (this.on) this.#most = Math.max(this.#most, desired);
  }
}
