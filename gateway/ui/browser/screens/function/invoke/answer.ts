import { ApiError, ask } from "../../../api.ts";
import { type AnswerBody, readSome } from "./read-answer.ts";

/** What a function answered. */
export interface Answer extends AnswerBody {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** Until its headers were there, and until its last byte was. */
  readonly headMs: number;
  readonly ms: number;
}

export interface CallInit {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Calls a function; what it answers is its own, errors too. @throws {ApiError} */
export async function callFunction(path: string, init: CallInit): Promise<Answer> {
  const begun = performance.now();
  const answer = await ask(path, { ...init, takesErrors: true });
  const headMs = performance.now() - begun;
  if (answer.type === "opaqueredirect") throw new ApiError(0, "it answers with a redirect, which is not followed here");
  const { bytes, isCut } = await readSome(answer);
  const headers = [...answer.headers];
  return { status: answer.status, headers, bytes, isCut, headMs, ms: performance.now() - begun };
}
