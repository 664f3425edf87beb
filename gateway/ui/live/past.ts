import { FaasError } from "../../../contract/errors.ts";
import type { SeriesAnswer } from "../../../contract/ui/series.ts";
import type { Parameters } from "../../core/dead-letter-query.ts";
import { COLUMNS } from "./columns.ts";
import { decodePoints, encodePoints, type OtherGateways, type UiQuestion } from "./other-gateways.ts";
import { addGateway, buildSeriesAnswer, chooseStep, type SeriesPoints, spanOf } from "./series-answer.ts";
import { ALL, type SeriesBook } from "./series-book.ts";
import { readSeriesQuery } from "./series-query.ts";

export interface KnownPastOptions {
  readonly book: Pick<SeriesBook, "ring" | "clock">;
  /** Whether there is such a function. */
  readonly exists: (name: string) => boolean;
  /** Somebody looks at a function: what it uses is worth to be measured. */
  readonly watched?: (name: string) => void;
  /** Absent where there is but this one. */
  readonly others?: Pick<OtherGateways, "ask"> | undefined;
  readonly defaultNamespace: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Answers what was. */
export class KnownPast {
  readonly #options: KnownPastOptions;

  constructor(options: KnownPastOptions) {
    this.#options = options;
  }

  /** @throws {FaasError} `invalid`, or `notFound` when there is no such function */
  async series(given: Parameters): Promise<SeriesAnswer> {
    const { exists, watched, others, defaultNamespace, now = Date.now } = this.#options;
    const at = now();
    const query = readSeriesQuery(given, defaultNamespace, at);
    const { key, names, points } = query;
    const isFunction = !key.startsWith(ALL);
    if (isFunction && !exists(key)) {
      throw new FaasError("notFound", `there is no function ${key}`, { code: "unknown_function" });
    }
    if (isFunction && (names.includes("cpuPercent") || names.includes("memoryMib"))) watched?.(key);
    const seconds = chooseStep(query.since, at);
    const asked = { kind: "series" as const, key, seconds, ...spanOf(query, seconds, at) };
    const series = this.#read(asked);
    for (const answer of (await others?.ask(asked)) ?? []) {
      const theirs = decodePoints(answer);
      if (theirs) addGateway(series, theirs);
    }
    return buildSeriesAnswer(series, names, points);
  }

  /** What another gateway wants to know. @returns JSON */
  answer(asked: Extract<UiQuestion, { kind: "series" }>): string {
    return encodePoints(this.#read(asked));
  }

  #read({ key, seconds, from, until }: Omit<Extract<UiQuestion, { kind: "series" }>, "kind">): SeriesPoints {
    const { book } = this.#options;
    const ring = book.ring(key, seconds);
    // Where the clock was set back, what is kept is numbered by another one.
    const ahead = Math.round(book.clock.shift / seconds);
    const columns =
      ring?.read(from + ahead, until + ahead) ??
      Array.from({ length: COLUMNS }, () => new Int32Array(Math.max(0, until - from)));
    return { seconds, from, columns };
  }
}
