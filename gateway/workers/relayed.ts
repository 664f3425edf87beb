import { standFor, type TrustedProxies } from "../../http/client-address.ts";
import type { Handler } from "../../kit/server.ts";
import { PEER_HEADER } from "./relay.ts";

/** Has `handler` see requests that another thread passes on as that thread saw them: they come from whom they came from there. */
export function relayed(handler: Handler, trusted: TrustedProxies | undefined): Handler {
  return (req, res) => {
    const { headers, rawHeaders, socket } = req;
    const peer = headers[PEER_HEADER];
    delete headers[PEER_HEADER];
    for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
      if (rawHeaders[i] === PEER_HEADER) rawHeaders.splice(i, 2);
    }
    standFor(socket, typeof peer === "string" ? peer : undefined, trusted);
    return handler(req, res);
  };
}
