import { createInbox } from "nats";
import type { Logger } from "../../kit/log.ts";
import type { Link } from "../nats/connection.ts";
import type { LateLink } from "../nats/late-link.ts";

const SUBJECT = "faaslane.ask";
/** Whoever asks waits no longer: what is told is told without the others then. */
const WAIT_MS = 300;
/** A gateway that has answered is waited for, for so long after. */
const REMEMBER_MS = 60_000;
const MAX_GATEWAYS = 256;
const MAX_BYTES = 4 * 1024 ** 2;

/** @returns undefined for a question that is none of its */
export type Answerer = (question: unknown) => string | undefined;

/** Questions of a gateway to all others, as messages of core NATS. Its connection must not echo. */
export class NatsQuestions {
  readonly #link: LateLink;
  readonly #gateway: string;
  readonly #log: Pick<Logger, "warn">;
  /** When each was heard last, on the monotonic clock. */
  readonly #heard = new Map<string, number>();
  #answer: Answerer = () => undefined;
  #warned = false;

  /** @param gateway name of this one, its own for each start */
  constructor(link: LateLink, gateway: string, log: Pick<Logger, "warn">) {
    this.#link = link;
    this.#gateway = gateway;
    this.#log = log;
    link.onOpen((opened) => this.#listen(opened));
  }

  onQuestion(answer: Answerer): void {
    this.#answer = answer;
  }

  /** @returns what those answer that do so soon; nothing without a connection */
  async ask(question: object): Promise<unknown[]> {
    const link = this.#link.connected;
    if (!link) return [];
    const { nc } = link;
    const answers: unknown[] = [];
    const missing = this.#known();
    const { promise, resolve } = Promise.withResolvers<void>();
    const isKnown = missing.size > 0;
    const inbox = createInbox();
    const subscription = nc.subscribe(inbox, {
      max: MAX_GATEWAYS,
      callback: (err, { data }) => {
        const said = err ? undefined : read(data);
        if (!said) return;
        this.#heard.set(said.gateway, performance.now());
        missing.delete(said.gateway);
        answers.push(said.answer);
        if (isKnown && missing.size === 0) resolve();
      },
    });
    const timer = setTimeout(resolve, WAIT_MS);
    try {
      nc.publish(SUBJECT, JSON.stringify({ gateway: this.#gateway, question }), { reply: inbox });
      await promise;
    } catch (err) {
      this.#warn(err);
    } finally {
      clearTimeout(timer);
      subscription.unsubscribe();
    }
    return answers;
  }

  /** Those that have answered of late. */
  #known(): Set<string> {
    const now = performance.now();
    for (const [gateway, at] of this.#heard) if (now - at > REMEMBER_MS) this.#heard.delete(gateway);
    return new Set(this.#heard.keys());
  }

  #listen(link: Link): void {
    let isRefused = false;
    const listen = () => {
      isRefused = false;
      link.nc.subscribe(SUBJECT, {
        callback: (err, message) => {
          if (err) {
            isRefused = true;
            this.#warn(err);
          } else if (message.reply !== undefined) this.#tell(link, message.data, message.reply);
        },
      });
    };
    // A subscription outlives its connection, unless it was refused.
    link.onReconnect(() => {
      if (isRefused) listen();
    });
    listen();
  }

  #tell(link: Link, data: Uint8Array, reply: string): void {
    const asked = read(data);
    if (!asked) return;
    this.#heard.set(asked.gateway, performance.now());
    try {
      const answer = this.#answer(asked.question);
      const text = JSON.stringify({ gateway: this.#gateway, answer: answer === undefined ? null : JSON.parse(answer) });
      // What is too large for the server would end the connection.
      const fits = Buffer.byteLength(text) <= link.maxPayload;
      link.nc.publish(reply, fits ? text : JSON.stringify({ gateway: this.#gateway, answer: null }));
    } catch (err) {
      this.#warn(err);
    }
  }

  #warn(err: unknown): void {
    if (!this.#warned) {
      this.#log.warn({ err, subject: SUBJECT }, "gateways cannot ask each other; the dashboard shows each one's own");
    }
    this.#warned = true;
  }
}

interface Said {
  readonly gateway: string;
  readonly question?: unknown;
  readonly answer?: unknown;
}

/** Undefined for what no gateway has said. */
function read(data: Uint8Array): Said | undefined {
  if (data.byteLength > MAX_BYTES) return undefined;
  try {
    const said = JSON.parse(Buffer.from(data).toString("utf8")) as Partial<Said> | null;
    const gateway = said?.gateway;
    const isName = typeof gateway === "string" && gateway !== "" && gateway.length <= 256;
    return isName ? (said as Said) : undefined;
  } catch {
    return undefined;
  }
}
