import { z } from "zod";

/** What has to survive the process, so that a message that comes again is the same event. */
const saved = z.object({
  /** Of a session of the server's; another one begins when the server knows of none. */
  session: z.string(),
  /** How often its packet ids have begun anew, as far as it matters here. */
  round: z.int(),
  /** The packet id that the round has begun with. */
  from: z.int(),
  /** What the session is subscribed to. */
  topics: z.array(z.string()),
});
type Saved = z.output<typeof saved>;

/** Ids of a round: more than can wait for their acknowledgement, and few enough that what comes again tells its round. */
const ROUND_IDS = 16_384;

/**
 * Names for messages that have a packet id. The server uses each id again once its message has been acknowledged, so
 * that an id alone is no name: the round it is in belongs to it. A message that comes again says so (DUP), and is looked for
 * in the round that it came in first. A round is saved before a message of it is stored.
 */
export class PacketNames {
  #saved: Saved | undefined;
  #last: number | undefined;

  /** @param text what {@link text} gave the process before */
  constructor(text: string | undefined) {
    const parsed = text === undefined ? undefined : saved.safeParse(JSON.parse(text));
    this.#saved = parsed?.success ? parsed.data : undefined;
  }

  /** What the session is subscribed to, as far as is known. */
  get topics(): readonly string[] {
    return this.#saved?.topics ?? [];
  }

  /** To be saved. */
  get text(): string {
    return JSON.stringify(this.#saved);
  }

  /**
   * A connection begins.
   * @param isResumed the server knows the session
   * @param newSession a name that no session has had
   */
  begin(isResumed: boolean, topics: readonly string[], newSession: string): void {
    const known = isResumed ? this.#saved : undefined;
    const { session, round, from } = known ?? { session: newSession, round: 0, from: 0 };
    this.#saved = { session, round, from, topics: [...topics] };
    this.#last = undefined;
  }

  /**
   * The name of a message.
   * @returns whether {@link text} has to be saved before the message is stored
   */
  name(packetId: number, isDuplicate: boolean): { readonly name: string; readonly isNewRound: boolean } {
    const state = this.#saved as Saved;
    if (isDuplicate) {
      const isOfThis = packetId >= state.from && packetId < state.from + ROUND_IDS;
      const round = isOfThis ? state.round : Math.max(0, state.round - 1);
      return { name: `${state.session}/${round}/${packetId}`, isNewRound: false };
    }
    // Of those that came before this connection it is not known which ids they had.
    const isNewRound = this.#last === undefined || packetId <= this.#last || packetId >= state.from + ROUND_IDS;
    if (isNewRound) this.#saved = { ...state, round: state.round + 1, from: packetId };
    this.#last = packetId;
    return { name: `${state.session}/${(this.#saved as Saved).round}/${packetId}`, isNewRound };
  }
}
