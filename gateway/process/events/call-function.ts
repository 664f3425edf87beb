import { tmpdir } from "node:os";
import { isVersion, versionedName } from "../../../contract/versions/version-name.ts";
import type { CallFunction, EventAnswer, EventCall } from "../../../events/engine/ports.ts";
import type { CallAnswer, FunctionCaller } from "../../async/function-caller.ts";
import { readResult } from "../../async/result.ts";
import { stamped } from "../../core/traffic/stamp.ts";
import type { QueuedCall } from "../../queue/queue.ts";

/** What deliveries are called where calls of a queue have its name. */
const QUEUE = "events";
const NOTHING = Buffer.alloc(0);
/** On answers, from the proxy. */
const VERSION_HEADER = "x-function-version";

/** Makes deliveries of the calls that a caller makes of a queue's: woken, split and limited like those of anybody. */
export function callFunctions(caller: Pick<FunctionCaller, "call">): CallFunction {
  return async (call, signal) => {
    const { maxAnswerBytes, attempt } = call;
    const keep = { memoryBytes: maxAnswerBytes, maxBytes: maxAnswerBytes, folder: tmpdir() };
    return await answerOf(await caller.call(storedCall(call), keep, signal, attempt));
  };
}

function storedCall({ function: ref, version, path, headers, body, callId, arrivedAt }: EventCall): QueuedCall {
  const queryAt = path.indexOf("?");
  // A tag is part of the name; a version is what the call is for.
  const pinned = version !== undefined && isVersion(version) ? version : undefined;
  const name = version === undefined || pinned !== undefined ? ref.name : versionedName(ref.name, version);
  return {
    id: callId,
    callId,
    queue: QUEUE,
    function: name,
    namespace: ref.namespace,
    method: "POST",
    path: queryAt < 0 ? path : path.slice(0, queryAt),
    query: queryAt < 0 ? "" : path.slice(queryAt + 1),
    headers: stamped(headers, pinned),
    body,
    acceptedAt: arrivedAt,
  };
}

async function answerOf(answer: CallAnswer): Promise<EventAnswer> {
  if (answer.kind === "unsendable") return { headers: {}, body: NOTHING, error: answer.reason, final: true };
  if (answer.kind === "unreachable") {
    const { message } = answer.error as Error;
    return { headers: {}, body: NOTHING, error: `the function cannot be reached: ${message}` };
  }
  const { status, headers, internal, result } = answer;
  try {
    const version = headers[VERSION_HEADER];
    return {
      status,
      headers,
      internal,
      body: await readResult(result),
      ...(result.omitted !== undefined && { error: `the answer is ${result.omitted}` }),
      ...(typeof version === "string" && { version }),
    };
  } finally {
    await result.discard();
  }
}
