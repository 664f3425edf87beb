import type { EventEmitter } from "node:events";

/** Connections of a process that take descriptors from those of its callers, such as the ones to replicas. */
export class OtherConnections {
  #descriptors = 0;
  #onMore: () => void = () => {};

  /** That they have now. */
  get descriptors(): number {
    return this.#descriptors;
  }

  /** @param listener told each time that there is one more */
  watch(listener: () => void): void {
    this.#onMore = listener;
  }

  /**
   * Counts a connection that has just been opened, until it is closed.
   * @param descriptors that it takes of this process: more where the other end is in it, too
   */
  add(socket: EventEmitter, descriptors = 1): void {
    this.#descriptors += descriptors;
    socket.once("close", () => {
      this.#descriptors -= descriptors;
    });
    this.#onMore();
  }
}
