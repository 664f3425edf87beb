import { MAX_JSON_DEPTH, parseBoundedJson } from "../../contract/bounded-json.ts";
import { clip } from "../../contract/clip.ts";
import type { SubscriberAnswer } from "../triggers/trigger.ts";
import type { PlannedCatch } from "./plan.ts";

/** Why a step has failed. */
export interface StepError {
  /** As the function names it in `{ "errorType": …, "cause": … }`, or as the platform does. */
  readonly errorType: string;
  readonly cause: string;
  /** Of the last answer. */
  readonly status?: number;
}

const MAX_TYPE_CHARS = 200;
const MAX_CAUSE_CHARS = 1_000;
/** More than a typed error has; the rest of a body is of no interest. */
const MAX_BODY_BYTES = 64 * 1024;

/** What went wrong in a delivery that was given up. @param reason why, in words */
export function readStepError(reason: string, answer: SubscriberAnswer | undefined): StepError {
  if (!answer) return { errorType: silentType(reason), cause: clip(reason, MAX_CAUSE_CHARS) };
  const { status, body } = answer;
  const typed = status >= 300 && body ? readTyped(body) : undefined;
  return {
    errorType: typed?.errorType ?? (status < 300 ? "BadReply" : `Http${status}`),
    cause: typed?.cause ?? clip(reason, MAX_CAUSE_CHARS),
    status,
  };
}

/** Of a step that has no answer. */
function silentType(reason: string): string {
  if (/expired|older than/.test(reason)) return "Expired";
  if (reason.startsWith("transform:")) return "Transform";
  return /time|too long/i.test(reason) ? "Timeout" : "Unreachable";
}

function readTyped(body: Buffer): { errorType: string; cause: string | undefined } | undefined {
  if (body.length > MAX_BODY_BYTES || body[0] !== 0x7b) return undefined;
  let value: unknown;
  try {
    value = parseBoundedJson(body, { maxBytes: MAX_BODY_BYTES, maxDepth: MAX_JSON_DEPTH }, "error");
  } catch {
    return undefined;
  }
  const { errorType, cause } = value as { errorType?: unknown; cause?: unknown };
  if (typeof errorType !== "string" || errorType === "") return undefined;
  const text = cause === undefined || cause === null ? undefined : typeof cause === "string" ? cause : toJson(cause);
  return {
    errorType: errorType.slice(0, MAX_TYPE_CHARS),
    cause: text === undefined ? undefined : clip(text, MAX_CAUSE_CHARS),
  };
}

function toJson(value: unknown): string {
  return JSON.stringify(value);
}

/** The first that takes the error: by its type, by the class of its status (`Http4xx`, `Http5xx`), or as `*`. */
export function findCatch(
  catches: readonly PlannedCatch[],
  { errorType, status }: StepError,
): { readonly place: number; readonly caught: PlannedCatch } | undefined {
  const classOf = status === undefined ? undefined : `Http${Math.floor(status / 100)}xx`;
  const place = catches.findIndex(({ errors }) =>
    errors.some((each) => each === "*" || each === errorType || each === classOf),
  );
  return place < 0 ? undefined : { place, caught: catches[place] as PlannedCatch };
}
