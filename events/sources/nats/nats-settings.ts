import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { choice, lineOf, mediaType, oneOrMore, wholeNumber } from "../../../contract/events/server-settings.ts";
import { natsName, natsServers, natsSubject } from "../../links/nats.ts";

export const natsSourceSettings = z
  .strictObject({
    ...natsServers,
    /** Core NATS without `stream`: at most once. With it, what of the stream is read; all unless given. */
    subjects: maybe(oneOrMore(natsSubject)),
    /** Those of one queue group share the messages; `faaslane-NAMESPACE-NAME` when absent. Of core NATS. */
    queue: maybe(lineOf("a queue group", 200).regex(/^\S+$/, { error: "must be a queue group, which has no spaces" })),
    stream: maybe(natsName),
    /** The consumer, which is made unless it is there; `faaslane-NAMESPACE-NAME` when absent. */
    durable: maybe(natsName),
    /** Where a consumer that is made starts. */
    deliver: maybe(choice("all", "new")),
    /** Messages that are on their way at a time. */
    prefetch: maybe(wholeNumber(1, 10_000)),
    ackWaitSeconds: maybe(wholeNumber(1, 3600)),
    /** Of messages that do not say. */
    contentType: maybe(mediaType),
  })
  .refine(({ stream, subjects }) => stream !== undefined || subjects !== undefined, {
    error: "is required, or a stream",
    path: ["subjects"],
  })
  .refine(({ stream, queue }) => stream === undefined || queue === undefined, {
    error: "is of core NATS; a stream's messages are shared by all who read with one durable",
    path: ["queue"],
  });
export type NatsSourceSettings = z.output<typeof natsSourceSettings>;
