import { FaasError } from "../../../../contract/errors.ts";
import { readMessage } from "../../../nats/stored-message.ts";
import type { CallFilter, CallPage, ListedCall } from "../../queue.ts";
import { findMessage } from "../calls/lookup.ts";
import { STREAMS } from "../client/names.ts";
import type { Context } from "../store/context.ts";
import { type CallRecord, decodeRecord } from "../store/record.ts";
import { NewerFormError, UnreadableError } from "../store/wire-fields.ts";
import { foundIn, lookAt } from "./waiting-calls.ts";

const CURSOR = /^\d{1,15}$/;
const MAX_PAGE = 1000;
/** Records that one page goes through. */
const MAX_LOOKED_AT = 2000;

/**
 * Lists the calls that are written down as running, in the order in which that was written: among all that wait they could
 * only be found by going through these.
 * @throws {FaasError} `invalid`
 */
export async function listRunning(
  context: Context,
  filter: CallFilter,
  { limit, after = "0" }: { readonly limit: number; readonly after?: string },
): Promise<CallPage> {
  if (!CURSOR.test(after)) throw new FaasError("invalid", "after: must be the end of an earlier page");
  const wanted = Math.max(1, Math.min(MAX_PAGE, Math.floor(limit)));
  const running: Promise<ListedCall | undefined>[] = [];
  let last = Number(after);
  let more = true;
  for (let looked = 0; more && running.length < wanted && looked < MAX_LOOKED_AT; looked++) {
    const which = { seq: last + 1, next_by_subj: "FAASLANE.open.*" };
    const message = await readMessage(context.link, STREAMS.open, which);
    if (!message) more = false;
    else {
      last = message.seq;
      const record = recordIn(message.data);
      if (record && matches(record, filter)) running.push(lookAtRecord(context, record));
    }
  }
  const items = (await Promise.all(running)).filter((call) => call?.state === "running");
  return { items: items as ListedCall[], ...(more && { next: String(last) }) };
}

/** Undefined for what is none, or one that cannot be read. */
function recordIn(data: Uint8Array): CallRecord | undefined {
  try {
    return decodeRecord(data).record;
  } catch (error) {
    if (error instanceof UnreadableError || error instanceof NewerFormError) return undefined;
    throw error;
  }
}

function matches({ state, location, ...record }: CallRecord, { function: ref, queue }: CallFilter): boolean {
  // A batch whose calls are queued waits for these, and is listed no more.
  if (state !== "running" || location?.stream === STREAMS.batches) return false;
  if (queue !== undefined && record.queue !== queue) return false;
  return !ref || (record.function === ref.name && record.namespace === ref.namespace);
}

async function lookAtRecord(context: Context, record: CallRecord): Promise<ListedCall | undefined> {
  const found = await findMessage(context, record.id, record);
  return found && (await lookAt(context, foundIn(found.place, found.stored)));
}
