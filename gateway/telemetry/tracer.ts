import type { CallTrace, ObservedCall } from "./call-record.ts";
import { buildCallSpans, isRemarkable } from "./call-spans.ts";
import { TraceIds } from "./ids.ts";
import { decideSampling, type Sampler } from "./sampler.ts";
import { type Attributes, type Span, WallClock } from "./span.ts";
import { readTraceContext, type TraceContext } from "./trace-context.ts";

export interface TracerOptions {
  readonly sampler: Sampler;
  /** Takes what is to be exported; must not hold anybody up. */
  readonly add: (spans: readonly Span[]) => void;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** A piece of work under way that is no call. */
export interface OpenSpan {
  /** For whoever it asks. */
  readonly context: TraceContext;
  /** @param failed whether it is exported however few are */
  end(attributes: Attributes, failed: boolean): void;
}

/** Makes the spans of one process. */
export class Tracer {
  readonly #sampler: Sampler;
  readonly #add: TracerOptions["add"];
  readonly #ids = new TraceIds();
  readonly #clock = new WallClock();

  constructor({ sampler, add }: TracerOptions) {
    this.#sampler = sampler;
    this.#add = add;
  }

  /** The place of a call that has these headers. */
  beginCall(headers: Headers): CallTrace {
    const parent = contextIn(headers);
    const traceId = parent?.traceId ?? this.#ids.trace();
    return {
      traceId,
      parentId: parent?.spanId,
      spanId: this.#ids.span(),
      upstreamId: this.#ids.span(),
      sampled: decideSampling(this.#sampler, traceId, parent?.sampled),
      state: parent?.state ?? "",
    };
  }

  /** Whether a call that has ended is exported. */
  wants(record: ObservedCall): boolean {
    return record.trace !== undefined && (record.trace.sampled || isRemarkable(record));
  }

  endCall(record: ObservedCall): void {
    const { trace } = record;
    if (!trace || !this.wants(record)) return;
    this.#add(buildCallSpans(record, trace, this.#clock, () => this.#ids.span()));
  }

  /**
   * Begins a trace of its own, linked to the one that has caused it, and sampled as that is.
   * @param cause headers that were stored with a call
   */
  beginLinked(cause: Headers, name: string, kind: Span["kind"]): OpenSpan {
    const origin = contextIn(cause);
    const traceId = this.#ids.trace();
    const spanId = this.#ids.span();
    const sampled = decideSampling(this.#sampler, traceId, origin?.sampled);
    const start = performance.now();
    return {
      context: { traceId, spanId, sampled, state: origin?.state ?? "" },
      end: (attributes, failed) => {
        if (!sampled && !failed) return;
        const links = origin && [{ traceId: origin.traceId, spanId: origin.spanId }];
        this.#add([
          {
            traceId,
            spanId,
            name,
            kind,
            attributes,
            failed,
            parentId: undefined,
            state: origin?.state ?? "",
            start: this.#clock.of(start),
            end: this.#clock.of(performance.now()),
            ...(links && { links }),
          },
        ]);
      },
    };
  }
}

function contextIn({ traceparent, tracestate }: Headers): TraceContext | undefined {
  if (typeof traceparent !== "string") return undefined;
  return readTraceContext(traceparent, typeof tracestate === "object" ? tracestate.join() : tracestate);
}
