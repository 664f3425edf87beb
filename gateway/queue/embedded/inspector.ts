import { FaasError } from "../../../contract/errors.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import type { CallFilter, CallPage, CallRequest, ListedCall } from "../queue.ts";
import type { SealedCallIds } from "./call-ids.ts";
import { decodeDelivered } from "./call-meta.ts";
import {
  type Answers,
  type AskOf,
  type CallName,
  functionOf,
  type ListedWaitingCall,
  queueOf,
  refOf,
} from "./protocol.ts";

type AskThread = <K extends "calls" | "request">(ask: AskOf<K>) => Promise<Answers[K]>;

/** Calls listed at a time at most. */
const MAX_PAGE = 1000;
/** Questions that one page may take; the thread does other things in between. */
const MAX_QUESTIONS = 20;
const PLACE = /^[1-9][0-9]{0,14}$/;

/** Shows the calls that have not ended, as the thread knows them. */
export class EmbeddedInspector {
  readonly #ask: AskThread;
  readonly #ids: () => SealedCallIds;

  constructor(ask: AskThread, ids: () => SealedCallIds) {
    this.#ask = ask;
    this.#ids = ids;
  }

  async list({ function: ref, queue, state }: CallFilter, page: Parameters<typeof boundsOf>[0]): Promise<CallPage> {
    const { limit, after } = boundsOf(page);
    const filter = {
      ...(ref && { fn: qualifiedName(ref) }),
      ...(queue !== undefined && { queue }),
      ...(state && { state }),
    };
    const items: ListedCall[] = [];
    let next: number | undefined = after;
    for (let asked = 0; next !== undefined && items.length < limit && asked < MAX_QUESTIONS; asked++) {
      const found: Answers["calls"] = await this.#ask({
        kind: "calls",
        ...filter,
        after: next,
        limit: limit - items.length,
      });
      items.push(...found.calls.map((call) => this.#listed(call)));
      next = found.next;
    }
    return { items, ...(next !== undefined && { next: String(next) }) };
  }

  async request(of: CallName, bodyBytes: number): Promise<CallRequest | undefined> {
    const stored = await this.#ask({ kind: "request", of, bodyBytes });
    if (!stored) return undefined;
    const { method, path, query, headers, callbackUrl } = decodeStored(stored.meta);
    const { bodyBytes: size, body } = stored;
    return { method, path, query, headers, ...(callbackUrl !== undefined && { callbackUrl }), bodyBytes: size, body };
  }

  #listed({ seq, key, callId, member, ...rest }: ListedWaitingCall): ListedCall {
    const id = this.#ids().encode(seq);
    const { name, namespace } = refOf(functionOf(key));
    const place = member && { of: this.#ids().encode(member.whole), index: member.index };
    return {
      id,
      callId: callId ?? id,
      queue: queueOf(key),
      function: name,
      namespace,
      ...rest,
      ...(place && { member: place }),
    };
  }
}

function boundsOf({ limit, after }: { readonly limit: number; readonly after?: string }) {
  if (after !== undefined && !PLACE.test(after))
    throw new FaasError("invalid", "after: must be the end of an earlier page");
  return { limit: Math.max(1, Math.min(MAX_PAGE, Math.floor(limit))), after: Number(after ?? 0) };
}

/** @throws {FaasError} `unprocessable` for what is no call, as will show when its turn comes */
function decodeStored(meta: string) {
  try {
    return decodeDelivered({ acceptedAt: 0, meta, body: new Uint8Array() }, "");
  } catch (cause) {
    throw new FaasError("unprocessable", "the stored call cannot be read", { cause });
  }
}
