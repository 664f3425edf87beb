import type { IncomingMessage, ServerResponse } from "node:http";
import { isOffered } from "../../http/upgrade-rules.ts";
import type { PendingUpgrade } from "../../http/upgrades.ts";
import { responseHeaders } from "./forward-headers.ts";

const SWITCHING_PROTOCOLS = 101;

/** Whether a function goes on with another protocol. */
export function isSwitch({ statusCode }: IncomingMessage): boolean {
  return statusCode === SWITCHING_PROTOCOLS;
}

/**
 * Passes a function's answer 101 on and joins the client's connection with the function's.
 * @param res of a request that offered protocols
 * @throws when the function has chosen one that was not offered, or an answer that cannot be passed on
 */
export function joinConnections(answer: IncomingMessage, res: ServerResponse, upgrade: PendingUpgrade): void {
  const { socket } = answer;
  const { upgrade: protocol } = answer.headers;
  socket.on("error", () => {}); // Node has taken its listeners off
  try {
    if (res.destroyed) throw new Error("the client left");
    if (protocol === undefined || !isOffered(protocol, upgrade.protocols)) {
      throw new Error("the function switched to a protocol that nobody had asked for");
    }
    upgrade.switchTo([...responseHeaders(answer, res.req), "Connection", "Upgrade", "Upgrade", protocol], socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
