import type { UnfinishedState } from "../queue.ts";

/** Which calls are to be listed. */
export interface CallScan {
  /** `name.namespace` */
  readonly fn?: string;
  readonly queue?: string;
  readonly state?: UnfinishedState;
  readonly after: number;
  readonly limit: number;
}

/** What its caller sent; `meta` is JSON text, as of a call that is delivered. */
export interface StoredRequest {
  readonly meta: string;
  readonly bodyBytes: number;
  readonly body: Uint8Array;
}
