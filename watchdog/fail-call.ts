import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../http/platform-mark.ts";
import type { TrackedResponse } from "./tracked-response.ts";

/** Ends a call that came upon a mistake of ours, or upon a system without means: it must cost no more than that call. */
export function failCall(res: TrackedResponse): void {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    return;
  }
  res.takeOver();
  res.writeHead(500, { "Content-Length": 0, [INTERNAL_HEADER]: INTERNAL_WATCHDOG });
  res.end();
}
