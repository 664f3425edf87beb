import { randomUUID } from "node:crypto";
import { within } from "../../../kit/within.ts";
import { linkFailure } from "../../links/explain.ts";
import { natsAt, natsLost, openNats } from "../../links/nats.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import type { SourceContext, SourceType } from "../source.ts";
import { receiveFromStream } from "./from-stream.ts";
import { receiveFromSubjects } from "./from-subjects.ts";
import { type NatsSourceSettings, natsSourceSettings } from "./nats-settings.ts";

const CLOSE_MS = 2_000;

/** Subjects of core NATS, at most once, or a stream of JetStream, whose messages are acknowledged once they are stored. */
export const natsSource: SourceType<NatsSourceSettings> = {
  type: "nats",
  shared: true,
  settings: natsSourceSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      await receive(settings, context, secrets);
    } catch (error) {
      if (!context.signal.aborted) throw linkFailure(natsAt(settings), error, secrets);
    }
  },
};

async function receive(settings: NatsSourceSettings, context: SourceContext, secrets: SecretTexts): Promise<void> {
  const own = `faaslane-${context.namespace}-${context.name}`;
  const connection = await openNats(settings, `${own} ${randomUUID().slice(0, 8)}`, secrets);
  const over = new AbortController();
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  const onAbort = () => stop();
  context.signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (context.signal.aborted) return;
    const receiving =
      settings.stream === undefined
        ? receiveFromSubjects(connection, settings, settings.queue ?? own, context)
        : receiveFromStream(connection, settings.stream, settings, settings.durable ?? own, context, over.signal);
    receiving.catch(() => {}); // also when it is not what ends first
    await Promise.race([receiving, natsLost(connection), stopped]);
  } finally {
    context.signal.removeEventListener("abort", onAbort);
    over.abort();
    await within(CLOSE_MS, connection.close());
  }
}
