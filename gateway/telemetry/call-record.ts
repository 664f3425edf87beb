import type { Startup } from "../../contract/endpoints.ts";
import type { TraceContext } from "./trace-context.ts";

/** Where a call belongs among the spans of others, with the ids of its own. */
export interface CallTrace extends TraceContext {
  /** Of the caller's span; undefined where the trace begins here. */
  readonly parentId: string | undefined;
  /** Of the span that the function gets as its parent. */
  readonly upstreamId: string;
}

/** `call` comes over HTTP, `stored` from the queue in this process; `intake` is the acceptance of an asynchronous call, `event` that of events. */
export type CallKind = "call" | "stored" | "intake" | "event";

/** What is known of a call when it comes. */
export interface CallHead {
  readonly kind: CallKind;
  readonly method: string;
  /** Raw, with its query if it has one. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Address of the client; undefined for none. */
  readonly client: string | undefined;
}

/** One call, as far as it has come. All times by `performance.now()`; undefined for what has not happened. */
export class ObservedCall {
  readonly kind: CallKind;
  readonly method: string;
  /** Without its query, which may have secrets. */
  readonly path: string;
  readonly client: string | undefined;
  /** As functions are told it, who are told nothing where it is plain. */
  readonly scheme: "http" | "https";
  /** What the caller has sent, for the id of a trace that is only passed on. */
  readonly traceparent: string | undefined;
  /** Absent while nothing is traced. */
  readonly trace: CallTrace | undefined;
  readonly arrivedAt: number;
  callId: string | undefined;
  /** `name.namespace`, once there is such a function. */
  functionName: string | undefined;
  /** When it began to wait for a replica. */
  heldAt: number | undefined;
  /** When it was given to the replica that has it. */
  sentAt: number | undefined;
  /** When that replica's connection took it. */
  connectedAt: number | undefined;
  firstByteAt: number | undefined;
  endedAt: number | undefined;
  /** 0 until there is an answer. */
  status = 0;
  /** Code of an answer of the platform's own. */
  errorCode: string | undefined;
  /** Whether the answer broke off. */
  broken = false;
  /** Of the bodies. */
  bytesIn = 0;
  bytesOut = 0;
  /** Address of the replica. */
  replica: string | undefined;
  /** Which of the function's versions that runs; undefined where nobody says. */
  functionVersion: string | undefined;
  /** Replicas that were tried. */
  attempts = 0;
  /** Whether the replica came up while it waited. */
  cold = false;
  /** How that came up, as far as it is known. */
  startup: Startup | undefined;
  /** What the function gets, as names and values in turn; while it has not been sent, what came. */
  requestHeaders: CallHead["headers"] | readonly string[];
  /** By lower-case name. */
  answerHeaders: CallHead["headers"] | undefined;

  constructor({ kind, method, url, headers, client }: CallHead, trace: CallTrace | undefined, now: number) {
    const queryAt = url.indexOf("?");
    const { traceparent, "x-forwarded-proto": scheme } = headers;
    this.kind = kind;
    this.method = method;
    this.path = queryAt < 0 ? url : url.slice(0, queryAt);
    this.client = client;
    this.scheme = scheme === "https" ? "https" : "http";
    this.requestHeaders = headers;
    this.traceparent = typeof traceparent === "string" ? traceparent : undefined;
    this.trace = trace;
    this.arrivedAt = now;
  }

  sent(now: number, { address, isProvider, announcedAt, startup, version }: ChosenReplica): void {
    this.attempts++;
    this.functionVersion = version;
    this.sentAt = now;
    this.connectedAt = undefined;
    this.replica = isProvider ? PROVIDER : address;
    this.cold = this.heldAt !== undefined && announcedAt >= this.heldAt;
    this.startup = this.cold ? startup : undefined;
  }
}

/** What a call goes through that the provider passes on to a replica of its choice. */
const PROVIDER = "provider";

/** What is told of the replica that gets a call. */
export interface ChosenReplica {
  readonly address: string;
  readonly isProvider: boolean;
  /** When it became ready. */
  readonly announcedAt: number;
  readonly startup: Startup | undefined;
  readonly version?: string | undefined;
}

/** Told of calls, each from its arrival to its end. */
export interface CallObserver {
  /** Whether anybody wants to know of calls now. A call is watched if somebody did when it began. */
  readonly watching: boolean;
  begin(head: CallHead): ObservedCall;
  /** The headers for the function, with the context of the trace. @param headers names and values in turn */
  upstreamHeaders(record: ObservedCall, headers: string[]): string[];
  /** Once for each record. */
  end(record: ObservedCall): void;
  /** So many more have ended in other threads, by function, than are worth to be told of. */
  leaveOut?(counts: ReadonlyMap<string, number>): void;
}
