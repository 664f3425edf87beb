import { createHash } from "node:crypto";
import { Agent, request } from "undici";
import { guardedConnector } from "../../../kit/outbound/connector.ts";
import { sleep } from "../../../kit/sleep.ts";
import type { SourceContext, SourceEvent, SourceType } from "../source.ts";
import { type PolledItem, readItems, shortHash } from "./poll-items.ts";
import {
  conditionsOf,
  encodePollProgress,
  type PollProgress,
  parsePollProgress,
  rememberSeen,
} from "./poll-progress.ts";
import { type PollSettings, pollSettings } from "./poll-settings.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Longest wait that a server may ask for. */
const MAX_ASKED_WAIT_MS = 3600_000;
/** Stored together. */
const BATCH = 100;
const CONNECTOR = "http-poll-connector";

/** `http-poll`: asks a URL again and again, and tells what is new. */
export const httpPollSource: SourceType<PollSettings> = {
  type: "http-poll",
  settings: pollSettings,
  run: async (settings, context) => {
    const agent = new Agent({
      connect: guardedConnector(context.targets, CONNECT_TIMEOUT_MS),
      maxResponseSize: settings.maxBytes,
    });
    try {
      const poll = new Poll(settings, context, agent);
      while (!context.signal.aborted) {
        const askedWaitMs = await poll.once();
        await sleep(Math.max(settings.intervalMs, askedWaitMs), context.signal);
      }
    } finally {
      await agent.destroy();
    }
  },
};

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

class Poll {
  readonly #settings: PollSettings;
  readonly #context: SourceContext;
  readonly #agent: Agent;
  /** Without what may be secret. */
  readonly #source: string;
  #progress: PollProgress | undefined;
  #loaded = false;

  constructor(settings: PollSettings, context: SourceContext, agent: Agent) {
    this.#settings = settings;
    this.#context = context;
    this.#agent = agent;
    const { origin, pathname } = new URL(settings.url);
    this.#source = `${origin}${pathname}`;
  }

  /** Asks once. @returns how long the server wants to be left alone, in milliseconds */
  async once(): Promise<number> {
    const { signal } = this.#context;
    try {
      if (!this.#loaded) {
        this.#progress = parsePollProgress(await this.#context.cursor.load());
        this.#loaded = true;
      }
      const answer = await this.#ask();
      if (answer.status === 200) await this.#take(answer);
      else if (answer.status !== 304) {
        this.#context.lost(new Error(`${this.#source} has answered with status ${answer.status}${redirected(answer)}`));
        return askedWait(answer, this.#context.now());
      }
      this.#context.connected();
    } catch (error) {
      if (signal.aborted) return 0;
      // What was noted by somebody else in the meantime counts.
      this.#loaded = false;
      this.#context.lost(error);
    }
    return 0;
  }

  async #ask(): Promise<Answer> {
    const { url, headers, items } = this.#settings;
    const asked = new URL(url);
    const { etag, modified, since } = this.#progress ?? {};
    if (items?.since && since !== undefined) asked.searchParams.set(items.since.query, since);
    const own: Record<string, string> = { "user-agent": "faaslane", accept: "application/json, */*;q=0.5" };
    for (const [name, value] of headers) {
      own[name.toLowerCase()] =
        typeof value === "string"
          ? value
          : `${value.prefix ?? ""}${(await this.#context.secret(value.secret, value.key)).trim()}`;
    }
    const {
      statusCode,
      headers: given,
      body,
    } = await request(asked, {
      headers: {
        ...own,
        ...(etag !== undefined && { "if-none-match": etag }),
        ...(modified !== undefined && { "if-modified-since": modified }),
      },
      dispatcher: this.#agent,
      signal: AbortSignal.any([this.#context.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    });
    return { status: statusCode, headers: given, body: Buffer.from(await body.arrayBuffer()) };
  }

  async #take(answer: Answer): Promise<void> {
    const before = this.#progress ?? {};
    const next = this.#settings.items ? await this.#takeItems(answer, before) : await this.#takeWhole(answer, before);
    const progress = { ...next, ...conditionsOf(answer.headers) };
    await this.#context.cursor.save(encodePollProgress(progress));
    this.#progress = progress;
  }

  async #takeItems({ body }: Answer, before: PollProgress): Promise<PollProgress> {
    const items = readItems(body, this.#settings.items as NonNullable<PollSettings["items"]>);
    const known = new Set(before.seen);
    const hashes = items.map(({ id }) => shortHash(id));
    const fresh = items.filter((_item, place) => !known.has(hashes[place] as string));
    for (let at = 0; at < fresh.length && !this.#isFirst(); at += BATCH) {
      await this.#context.emit(fresh.slice(at, at + BATCH).map((item) => this.#itemEvent(item)));
    }
    return { seen: rememberSeen(before.seen ?? [], hashes), since: items.at(-1)?.since ?? before.since };
  }

  async #takeWhole({ body, headers }: Answer, before: PollProgress): Promise<PollProgress> {
    const hash = createHash("sha256").update(body).digest("hex");
    if (before.hash === hash) return before;
    // Counted, as what was there before may come back.
    const changes = (before.changes ?? 0) + 1;
    if (!this.#isFirst()) {
      const type = headers["content-type"];
      const id = `${changes}-${hash.slice(0, 32)}`;
      await this.#context.emit([
        this.#event(id, "com.faaslane.http-poll.changed", body, typeof type === "string" ? type : undefined),
      ]);
    }
    return { hash, changes };
  }

  #isFirst(): boolean {
    return this.#settings.skipFirst && this.#progress === undefined;
  }

  #itemEvent({ id, subject, text }: PolledItem): SourceEvent {
    return this.#event(id, "com.faaslane.http-poll.item", Buffer.from(text), "application/json", subject);
  }

  #event(id: string, type: string, data: Buffer, contentType?: string, subject?: string): SourceEvent {
    const { topic } = this.#settings;
    return {
      event: {
        attributes: {
          specversion: "1.0",
          id,
          source: this.#source,
          type,
          ...(subject !== undefined && { subject }),
          ...(contentType !== undefined && { datacontenttype: contentType }),
        },
        data,
      },
      headers: [
        ["X-Topic", topic ?? type],
        ["X-Connector", CONNECTOR],
      ],
      ...(topic !== undefined && { topic }),
      once: id,
    };
  }
}

/** Redirects are not followed: who allows a target has not allowed where it points, and headers may be secret. */
function redirected({ status, headers }: Answer): string {
  const to = status >= 300 && status < 400 ? headers.location : undefined;
  return typeof to === "string" ? `; redirects are not followed` : "";
}

function askedWait({ headers }: Answer, now: number): number {
  const text = headers["retry-after"];
  if (typeof text !== "string") return 0;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), MAX_ASKED_WAIT_MS);
}
