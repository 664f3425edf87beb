import { z } from "zod";
import { maybe } from "../decode.ts";

/** One try to deliver an event to a subscriber, of a trigger or of a flow's step. */
export const deliveryAttempt = z.object({
  /** RFC 3339, UTC. */
  at: z.string(),
  durationMs: z.number(),
  status: maybe(z.number()),
  version: maybe(z.string()),
  replica: maybe(z.string()),
  error: maybe(z.string()),
  /** What else is to be told of it. */
  note: maybe(z.string()),
});
