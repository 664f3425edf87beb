import type { IncomingMessage } from "node:http";
import { clientOf } from "../../http/client-address.ts";
import { networkOf } from "../../kit/login-attempts.ts";

/** What callers are counted by: their address, or as much of it as one of them has to himself. */
export function clientKey(asking: Pick<IncomingMessage, "headers" | "socket">): string {
  return networkOf(clientOf(asking) ?? "");
}
