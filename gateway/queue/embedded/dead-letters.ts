import { FaasError } from "../../../contract/errors.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import type { DeadLetter, DeadLetterFilter, DeadLetterPage, DeadLetters } from "../queue.ts";
import type { SealedCallIds } from "./call-ids.ts";
import {
  type Answers,
  type AskOf,
  functionOf,
  type LetterFilter,
  queueOf,
  refOf,
  type StoredLetter,
} from "./protocol.ts";

type AskThread = <K extends "letters" | "replay" | "drop">(ask: AskOf<K>) => Promise<Answers[K]>;

/** Letters listed at a time at most. */
const MAX_PAGE = 1000;
const PLACE = /^[1-9][0-9]{0,14}$/;

/** The dead calls, as the thread knows them. */
export class EmbeddedDeadLetters implements DeadLetters {
  readonly #ask: AskThread;
  readonly #ids: () => SealedCallIds;

  constructor(ask: AskThread, ids: () => SealedCallIds) {
    this.#ask = ask;
    this.#ids = ids;
  }

  async list(
    filter: DeadLetterFilter,
    page: { readonly limit: number; readonly after?: string },
  ): Promise<DeadLetterPage> {
    const { limit, after = "0" } = page;
    if (after !== "0" && !PLACE.test(after))
      throw new FaasError("invalid", "after: must be the end of an earlier page");
    const wire = this.#wire(filter);
    if (!wire) return { items: [] };
    const atMost = Math.max(1, Math.min(MAX_PAGE, Math.floor(limit)));
    const { letters, next } = await this.#ask({ kind: "letters", filter: wire, after: Number(after), limit: atMost });
    return {
      items: letters.map((letter) => this.#toLetter(letter)),
      ...(next !== undefined && { next: String(next) }),
    };
  }

  replay(filter: DeadLetterFilter): Promise<number> {
    return this.#move("replay", filter);
  }

  drop(filter: DeadLetterFilter): Promise<number> {
    return this.#move("drop", filter);
  }

  /** Some at a time, so that calls that arrive meanwhile hardly wait. */
  async #move(kind: "replay" | "drop", filter: DeadLetterFilter): Promise<number> {
    const wire = this.#wire(filter);
    if (!wire) return 0;
    let count = 0;
    let bounds: { readonly after: number; readonly upTo?: number } | undefined = { after: 0 };
    while (bounds) {
      const moved: Answers["replay" | "drop"] = await this.#ask<"replay" | "drop">({ kind, filter: wire, ...bounds });
      count += moved.count;
      // Those that die while this goes on are not meant.
      bounds = moved.after === undefined ? undefined : { after: moved.after, upTo: moved.upTo };
    }
    return count;
  }

  /** Undefined for a filter that nothing can match. */
  #wire({ id, function: ref, since, until }: DeadLetterFilter): LetterFilter | undefined {
    const seq = id === undefined ? undefined : this.#ids().decode(id);
    if (id !== undefined && seq === undefined) return undefined;
    return {
      ...(seq !== undefined && { seq }),
      ...(ref && { fn: qualifiedName(ref) }),
      ...(since !== undefined && { since }),
      ...(until !== undefined && { until }),
    };
  }

  #toLetter({ place: _, seq, key, callId, ...rest }: StoredLetter): DeadLetter {
    const id = this.#ids().encode(seq);
    const { name, namespace } = refOf(functionOf(key));
    return { id, callId: callId ?? id, queue: queueOf(key), function: name, namespace, ...rest };
  }
}
