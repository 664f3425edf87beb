import { buildConnector } from "undici";
import type { OtherConnections } from "../../http/other-connections.ts";

/** How a pool dials, where each connection is counted by `others`. */
export function countedConnector(
  options: buildConnector.BuildOptions,
  others: OtherConnections | undefined,
): buildConnector.connector {
  const connect = buildConnector(options);
  if (!others) return connect;
  return (target, told) =>
    connect(target, (...[error, socket]) => {
      if (error) {
        told(error, null);
        return;
      }
      others.add(socket);
      told(null, socket);
    });
}
