import type { QueueClient } from "../client/queue-client.ts";
import type { Io } from "../io.ts";
import { connect } from "./connect.ts";
import type { GatewayFlags } from "./options.ts";

/** A gateway answers a wait after a minute at the latest. */
const TIMEOUT_MS = 90_000;

/** A client for the queue of the gateway that flags and environment mean. */
export async function connectQueue(io: Io, flags: GatewayFlags): Promise<QueueClient> {
  const { QueueClient } = await import("../client/queue-client.ts");
  const { client } = await connect(io, flags, { timeoutMs: TIMEOUT_MS });
  return new QueueClient(client);
}
