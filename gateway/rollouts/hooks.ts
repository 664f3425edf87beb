import { randomUUID } from "node:crypto";
import type { FunctionRef } from "../../contract/functions.ts";
import type { CallbackSender } from "../async/callbacks/sender.ts";
import type { FunctionCaller } from "../async/function-caller.ts";
import { DEFAULT_QUEUE, type QueuedCall } from "../queue/queue.ts";

/** What a hook is told: what is about to begin. */
export interface HookQuestion {
  readonly function: string;
  readonly namespace: string;
  /** The new one. */
  readonly version: string;
  readonly phase: string;
  readonly step: number;
}

/** Why a rollout must not go on; undefined when it may. */
export type HookAnswer = string | undefined;

export interface HooksOptions {
  /** Makes calls of functions. */
  readonly caller: Pick<FunctionCaller, "call">;
  /** Posts to addresses, within the rules of where callbacks may go. */
  readonly sender: Pick<CallbackSender, "tryOnce">;
  readonly userAgent: string;
}

/** Longest wait for an answer. */
export const HOOK_TIMEOUT_MS = 10_000;
/** The one that says yes. */
const GO = 200;

/** Asks a function, or somebody outside, whether a rollout may go on. */
export class RolloutHooks {
  readonly #options: HooksOptions;

  constructor(options: HooksOptions) {
    this.#options = options;
  }

  /** @param hook an address, or a function's name, with its namespace after a dot where that is another */
  async ask(hook: string, question: HookQuestion, signal: AbortSignal): Promise<HookAnswer> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(HOOK_TIMEOUT_MS)]);
    try {
      return /^https?:\/\//i.test(hook)
        ? await this.#post(hook, question, within)
        : await this.#call(hook, question, within);
    } catch {
      return within.aborted ? "it did not answer in time" : "it could not be asked";
    }
  }

  async #post(url: string, question: HookQuestion, signal: AbortSignal): Promise<HookAnswer> {
    const body = Buffer.from(JSON.stringify(question));
    const headers = ["Content-Type", "application/json", "User-Agent", this.#options.userAgent];
    const message = { headers, body: { bytes: body.length, body: () => body } };
    const answer = await this.#options.sender.tryOnce(url, message, { tries: 0, elapsedMs: () => 0 }, signal);
    if (answer.kind !== "delivered") return answer.reason;
    return answer.status === GO ? undefined : `status ${answer.status}`;
  }

  async #call(hook: string, question: HookQuestion, signal: AbortSignal): Promise<HookAnswer> {
    const answer = await this.#options.caller.call(callOf(hook, question), undefined, signal);
    if (answer.kind !== "answered") return `function ${hook} could not be called`;
    return answer.status === GO ? undefined : `status ${answer.status} of function ${hook}`;
  }
}

function callOf(hook: string, question: HookQuestion): QueuedCall {
  const { name, namespace } = functionOf(hook, question.namespace);
  const id = randomUUID();
  return {
    id,
    callId: id,
    queue: DEFAULT_QUEUE,
    function: name,
    namespace,
    method: "POST",
    path: "/",
    query: "",
    headers: [["Content-Type", "application/json"]],
    body: Buffer.from(JSON.stringify(question)),
    acceptedAt: Date.now(),
  };
}

function functionOf(hook: string, namespace: string): FunctionRef {
  const dot = hook.lastIndexOf(".");
  return dot < 0 ? { name: hook, namespace } : { name: hook.slice(0, dot), namespace: hook.slice(dot + 1) };
}
