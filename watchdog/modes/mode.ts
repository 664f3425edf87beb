import type { IncomingMessage } from "node:http";
import type { TrackedResponse } from "../tracked-response.ts";

/** One way to run a function. */
export interface Mode {
  /** Answers one call, now or later. Never throws. */
  handle(req: IncomingMessage, res: TrackedResponse): void;
  /** Whether a call may go on with another protocol than HTTP. */
  readonly switchesProtocols?: boolean;
  /** The function can take calls. */
  readonly ready: boolean;
  /** Resolves when the function can take calls; rejects when it never will. */
  whenReady(): Promise<void>;
  /** Ends the function in good order; all calls are over by then. */
  close(): Promise<void>;
  /** Ends whatever runs at once, for when nobody waits for it any more. */
  kill(): void;
}
