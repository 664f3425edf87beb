import type { FunctionPart } from "../part.ts";
import { type CallForm, withoutSecrets } from "./call-form.ts";

/** A call that was made from here. */
export interface PastCall {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly form: CallForm;
  readonly status: number;
  readonly ms: number;
}

const PREFIX = "faaslane-calls ";
const MOST = 20;
/** Of functions whose calls are kept. */
const MOST_FUNCTIONS = 50;

/** Where calls are kept: with the tab, as long as it is open. */
export type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

const keyOf = ({ name, namespace }: FunctionPart) => `${PREFIX}${name}.${namespace}`;

/** Calls of a function, the last one first. */
export function readCalls(part: FunctionPart, kept: Kept): PastCall[] {
  try {
    const list = JSON.parse(kept.getItem(keyOf(part)) ?? "[]") as unknown;
    return Array.isArray(list) ? list.filter(isCall).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

/** Keeps a call, without anything that looks like a secret. @returns all that are kept then */
export function keepCall(part: FunctionPart, call: PastCall, kept: Kept): PastCall[] {
  const calls = [{ ...call, form: withoutSecrets(call.form) }, ...readCalls(part, kept)].slice(0, MOST);
  try {
    if (kept.getItem(keyOf(part)) === null && keysOf(kept).length >= MOST_FUNCTIONS) forgetCalls(kept);
    kept.setItem(keyOf(part), JSON.stringify(calls));
  } catch {
    // There is no room: it was worth a try.
  }
  return calls;
}

/** Of one function, or of all. */
export function forgetCalls(kept: Kept, part?: FunctionPart): void {
  for (const key of part ? [keyOf(part)] : keysOf(kept)) kept.removeItem(key);
}

function keysOf(kept: Kept): string[] {
  return Array.from({ length: kept.length }, (_, n) => kept.key(n) ?? "").filter((key) => key.startsWith(PREFIX));
}

function isCall(value: unknown): value is PastCall {
  const { form, at, status } = (value ?? {}) as Partial<PastCall>;
  return (
    typeof at === "number" &&
    typeof status === "number" &&
    typeof form?.method === "string" &&
    Array.isArray(form.headers)
  );
}
