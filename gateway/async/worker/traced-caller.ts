import { qualifiedName } from "../../../contract/functions.ts";
import type { QueuedCall } from "../../queue/queue.ts";
import { SPAN_KIND } from "../../telemetry/span.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { CallAnswer, FunctionCaller } from "../function-caller.ts";
import type { ResultLimits } from "../result.ts";
import { contextOf, withContext } from "../traced-call.ts";

/** Makes stored calls through another caller, each try with a span that is linked to the one that accepted the call. */
export class TracedCaller implements FunctionCaller {
  readonly #caller: FunctionCaller;
  readonly #tracer: Tracer;

  constructor(caller: FunctionCaller, tracer: Tracer) {
    this.#caller = caller;
    this.#tracer = tracer;
  }

  async call(
    call: QueuedCall,
    keep: ResultLimits | undefined,
    signal: AbortSignal,
    attempt?: number,
  ): Promise<CallAnswer> {
    const functionName = qualifiedName({ name: call.function, namespace: call.namespace });
    const span = this.#tracer.beginLinked(contextOf(call), `process ${functionName}`, SPAN_KIND.consumer);
    const facts = {
      "messaging.system": "faaslane",
      "messaging.operation.type": "process",
      "messaging.operation.name": "process",
      "messaging.destination.name": call.queue,
      "messaging.message.id": call.id,
      "messaging.message.body.size": call.body.byteLength,
      "faas.trigger": "pubsub",
      "faas.invocation_id": call.callId,
      "faas.invoked_name": functionName,
      "faaslane.attempt": attempt,
    };
    try {
      const answer = await this.#caller.call(withContext(call, span.context), keep, signal, attempt);
      const status = answer.kind === "answered" ? answer.status : undefined;
      const failure = status === undefined ? answer.kind : status >= 500 ? String(status) : undefined;
      span.end(
        { ...facts, "http.response.status_code": status, "error.type": failure },
        status === undefined || status >= 500,
      );
      return answer;
    } catch (error) {
      span.end({ ...facts, "error.type": "cancelled" }, false);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#caller.close();
  }
}
