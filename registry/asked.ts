import type { IncomingMessage, ServerResponse } from "node:http";

/** A request, with the part of it that routes read. */
export interface Asked {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly query: URLSearchParams;
}
