import type { QueuedCall, QueueStats } from "./queue.ts";

/** What main thread and worker thread of the embedded queue say to each other. Each message carries a batch. */

/** A call to store. Its body lies in the batch's `bodies`, so that one buffer is transferred, not one per call. */
export interface WireCall {
  readonly id: string;
  /** Calls with one `key` keep their order and share the limit per function. */
  readonly key: string;
  readonly acceptedAt: number;
  /** JSON text of {@link CallMeta}; the worker never looks inside. */
  readonly meta: string;
  readonly bodyAt: number;
  readonly bodyBytes: number;
}

/** A stored call on its way to the consumer. */
export interface DeliveredCall {
  /** Place in the order of acceptance; names the call in a {@link Settlement}. */
  readonly seq: number;
  readonly attempt: number;
  readonly id: string;
  readonly acceptedAt: number;
  readonly meta: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** What became of a delivered call. `back` hands it back as if never tried. */
export type Settlement =
  | { readonly seq: number; readonly kind: "done" | "back" }
  | { readonly seq: number; readonly kind: "retry"; readonly afterMs: number }
  | { readonly seq: number; readonly kind: "dead"; readonly reason: string };

export interface Refusal {
  readonly kind: "overloaded" | "unavailable";
  readonly message: string;
}

export type ToWorker =
  | {
      readonly kind: "batch";
      /** Names the batch in its {@link FromWorker} `stored`; 0 when it holds settlements only. */
      readonly batch: number;
      readonly calls: readonly WireCall[];
      readonly bodies: ArrayBuffer;
      readonly settlements: readonly Settlement[];
    }
  | { readonly kind: "consume"; readonly concurrency: number; readonly perFunction: number }
  /** Deliver no more; answered by `idle` once every delivered call is settled. */
  | { readonly kind: "pause" }
  | { readonly kind: "stats"; readonly question: number }
  | { readonly kind: "close" };

export type FromWorker =
  | { readonly kind: "opened" }
  | { readonly kind: "refusedToOpen"; readonly message: string }
  /** The batch is durable but for its refused calls, listed by position. */
  | { readonly kind: "stored"; readonly batch: number; readonly refused: readonly (readonly [number, Refusal])[] }
  | { readonly kind: "deliver"; readonly calls: readonly DeliveredCall[] }
  | { readonly kind: "idle" }
  | { readonly kind: "stats"; readonly question: number; readonly stats: QueueStats }
  | {
      readonly kind: "log";
      readonly level: "info" | "warn" | "error";
      readonly message: string;
      readonly facts: object;
    }
  | { readonly kind: "closed" };

/** What opening needs; handed over as `workerData`. */
export interface EmbeddedSettings {
  readonly path: string;
  /** Unfinished calls it holds at most. */
  readonly maxWaiting: number;
  /** Size the database file may reach. */
  readonly maxBytes: number;
  readonly maxDead: number;
  readonly maxDeadBytes: number;
  /** A call under way this often when the process died is dead. */
  readonly maxInterruptions: number;
}

type CallMeta = Omit<QueuedCall, "id" | "acceptedAt" | "body">;

/** The key that orders and limits a call, and all of it but id, time and body as JSON text. */
export function encodeMeta({ id: _, acceptedAt: __, body: ___, ...meta }: QueuedCall): { key: string; meta: string } {
  return { key: `${meta.function}.${meta.namespace}`, meta: JSON.stringify(meta) };
}

/** @throws {SyntaxError | TypeError} when the stored text is not what {@link encodeMeta} made */
export function decodeCall({ id, acceptedAt, meta, body }: DeliveredCall): QueuedCall {
  const stored = JSON.parse(meta) as CallMeta;
  if (typeof stored !== "object" || stored === null || typeof stored.function !== "string") {
    throw new TypeError("the stored call names no function");
  }
  return { ...stored, id, acceptedAt, body };
}

/** Lays the bodies of `calls` one after another into one buffer. */
export function packBodies(bodies: readonly Uint8Array[]): ArrayBuffer {
  let size = 0;
  for (const body of bodies) size += body.byteLength;
  const packed = new Uint8Array(size);
  let at = 0;
  for (const body of bodies) {
    packed.set(body, at);
    at += body.byteLength;
  }
  return packed.buffer;
}
