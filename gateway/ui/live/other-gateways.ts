import { z } from "zod";
import { CALL_PRESETS, type CallDetail, type CallsAnswer, SERIES_STEPS } from "../../../contract/ui/series.ts";
import type { CallsQuery } from "./calls-query.ts";
import { decodeColumns, encodeColumns } from "./column-text.ts";
import { COLUMNS } from "./columns.ts";
import type { SeriesPoints } from "./series-answer.ts";

/** The gateways that calls are shared with. */
export interface OtherGateways {
  /** @returns what those answer that do so soon */
  ask(question: object): Promise<readonly unknown[]>;
  /** @param answer gives JSON; undefined for a question that is none of ours */
  onQuestion(answer: (question: unknown) => string | undefined): void;
}

const MAX_POINTS = 12_000;
const index = z.number().int().min(0);
const question = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("series"),
    key: z.string().max(600),
    seconds: z.number().refine((value) => SERIES_STEPS.some(({ seconds }) => seconds === value)),
    from: index,
    until: index,
  }),
  z.object({
    kind: z.literal("calls"),
    name: z.string().max(600),
    preset: z.enum(CALL_PRESETS),
    before: z.number().optional(),
    limit: z.number().int().min(1).max(500),
  }),
  z.object({ kind: z.literal("call"), id: z.string().max(1_000) }),
  z.object({ kind: z.literal("gateway") }),
]);
/** What gateways ask each other for the dashboard. */
export type UiQuestion = z.output<typeof question>;

const seriesAnswer = z.object({ from: index, points: index.max(MAX_POINTS), text: z.string() });
const callsAnswer = z.object({
  calls: z.array(z.object({ id: z.string(), at: z.number() }).loose()).max(500),
  since: z.number(),
  leftOut: z.number().optional(),
  next: z.string().optional(),
});
const callAnswer = z.object({ id: z.string(), phases: z.array(z.unknown()) }).loose();

/** Undefined for what is no question of ours: of a later release, perhaps. */
export function readQuestion(value: unknown): UiQuestion | undefined {
  const read = question.safeParse(value);
  if (!read.success) return undefined;
  const isTooLong = read.data.kind === "series" && read.data.until - read.data.from > MAX_POINTS;
  return isTooLong ? undefined : read.data;
}

export function encodePoints({ from, columns }: SeriesPoints): string {
  const points = columns[0]?.length ?? 0;
  return JSON.stringify({
    from,
    points,
    text: Buffer.from(encodeColumns(columns, points), "latin1").toString("base64"),
  });
}

/** Undefined for what is no answer. */
export function decodePoints(value: unknown): Pick<SeriesPoints, "from" | "columns"> | undefined {
  const read = seriesAnswer.safeParse(value);
  if (!read.success) return undefined;
  const { from, points, text } = read.data;
  const columns = Array.from({ length: COLUMNS }, () => new Int32Array(points));
  try {
    decodeColumns(
      Buffer.from(text, "base64").toString("latin1"),
      { columns: COLUMNS, points },
      (column, point, count) => {
        (columns[column] as Int32Array)[point] = count;
      },
    );
  } catch {
    return undefined;
  }
  return { from, columns };
}

/** Calls of several gateways as one page, newest first. */
export function mergeCalls(
  own: CallsAnswer,
  others: readonly unknown[],
  { limit }: Pick<CallsQuery, "limit">,
): CallsAnswer {
  const answers = [
    own,
    ...others.flatMap((value) => {
      const read = callsAnswer.safeParse(value);
      return read.success ? [read.data as unknown as CallsAnswer] : [];
    }),
  ];
  if (answers.length === 1) return own;
  const calls = answers.flatMap((answer) => answer.calls).sort((one, other) => other.at - one.at);
  const page = calls.slice(0, limit);
  const hasMore = calls.length > limit || answers.some(({ next }) => next !== undefined);
  const last = page.at(-1);
  const leftOut = answers.reduce((all, answer) => all + (answer.leftOut ?? 0), 0);
  return {
    calls: page,
    since: Math.max(...answers.map(({ since }) => since)),
    ...(leftOut > 0 && { leftOut }),
    ...(hasMore && last && { next: String(last.at) }),
  };
}

/** The first that is a call. */
export function pickCall(answers: readonly unknown[]): CallDetail | undefined {
  return answers.find((value) => callAnswer.safeParse(value).success) as CallDetail | undefined;
}
