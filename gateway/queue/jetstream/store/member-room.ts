import type { StreamInfo } from "nats";
import { FaasError } from "../../../../contract/errors.ts";
import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";
import { STREAMS } from "../client/names.ts";

/** How long a count holds; other processes publish, too. */
const COUNT_AGE_MS = 500;

/**
 * Bounds the members of batches where they are taken in. The stream itself has no limit: it holds what became of
 * members as well, and a call that has ended must always find room for that.
 */
export class MemberRoom {
  readonly #link: Link;
  readonly #maxMembers: number;
  #left = 0;
  #countedAt = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(link: Link, maxMembers: number) {
    this.#link = link;
    this.#maxMembers = maxMembers;
  }

  /** For one member. @throws {FaasError} `overloaded`; `unavailable` when the server does not answer */
  async take(): Promise<void> {
    if (performance.now() - this.#countedAt > COUNT_AGE_MS) {
      this.#counting ??= this.#count().finally(() => {
        this.#counting = undefined;
      });
      await this.#counting;
    }
    if (this.#left <= 0) throw new FaasError("overloaded", "the queue is full: too many members of batches");
    this.#left--;
  }

  async #count(): Promise<void> {
    this.#left = this.#maxMembers - (await this.#messages());
    this.#countedAt = performance.now();
  }

  async #messages(): Promise<number> {
    try {
      const { state } = await this.#link.api<StreamInfo>(`STREAM.INFO.${STREAMS.members}`);
      return state.messages;
    } catch (cause) {
      // Made anew by who publishes into it.
      if (isApiError(cause, API_ERRORS.streamNotFound)) return 0;
      if (cause instanceof FaasError) throw cause;
      throw new FaasError("unavailable", "members of batches cannot be counted", { cause });
    }
  }
}
