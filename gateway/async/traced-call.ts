import type { QueuedCall } from "../queue/queue.ts";
import { replaceContext, type TraceContext } from "../telemetry/trace-context.ts";

/** The headers of a stored call that say which trace it came from. */
export function contextOf({ headers }: Pick<QueuedCall, "headers">): Record<string, string> {
  const context: Record<string, string> = {};
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower !== "traceparent" && lower !== "tracestate") continue;
    // Several are treated as one with commas in it, as of a request.
    context[lower] = context[lower] === undefined ? value : `${context[lower]},${value}`;
  }
  return context;
}

/** The same call in another trace. */
export function withContext(call: QueuedCall, context: TraceContext): QueuedCall {
  const flat = replaceContext(call.headers.flat(), context);
  const headers: [name: string, value: string][] = [];
  for (let i = 0; i < flat.length; i += 2) headers.push([flat[i] as string, flat[i + 1] as string]);
  return { ...call, headers };
}
