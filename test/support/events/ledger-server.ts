import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildEventRedaction } from "../../../events/ledger/redact-event.ts";
import { Replays } from "../../../events/ledger/replays.ts";
import { addLedgerRoutes } from "../../../events/routes/ledger.ts";
import { type EmbeddedEvents, openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import type { EventConsumer, EventDelivery } from "../../../events/store/event-store.ts";
import { createLogger } from "../../../kit/log.ts";
import { createApp, errorResponder, notFoundResponder } from "../../../kit/respond.ts";

/** The ledger's routes over a store of their own, whose events all go to one trigger that takes them. */
export interface LedgerServer extends AsyncDisposable {
  readonly url: string;
  readonly store: EmbeddedEvents;
  readonly delivered: EventDelivery[];
  append(...events: readonly AppendedEvent[]): Promise<string[]>;
}

/** An event's attributes, and its data. */
export interface AppendedEvent {
  readonly attributes: Readonly<Record<string, string>>;
  readonly data?: string | Buffer;
}

export const NAMESPACE = "openfaas-fn";

export async function startLedgerServer(redacted: readonly string[] = []): Promise<LedgerServer> {
  const log = createLogger("silent");
  const folder = await mkdtemp(join(tmpdir(), "faaslane-ledger-"));
  const store = await openEmbeddedEvents({ path: join(folder, "events.db"), log });
  const delivered: EventDelivery[] = [];
  const trigger = `trigger/${NAMESPACE}/all`;
  const consumer: EventConsumer = await store.events.consume(
    async (events) =>
      events.map(({ ref, event }) => ({
        ref,
        verdicts: [
          { trigger, matched: true },
          {
            trigger: `trigger/${NAMESPACE}/none`,
            matched: false,
            reason: `token is ${JSON.stringify(event.attributes.token)}`,
          },
        ],
        deliveries: [{ trigger }],
        keep: "full" as const,
      })),
    async (delivery) => {
      delivered.push(delivery);
      return { kind: "done", attempt: { at: Date.now(), durationMs: 1, status: 200 } };
    },
    { concurrency: 8, perTrigger: () => 8 },
  );
  const replays = new Replays({
    store: store.events,
    resources: store.resources,
    leads: () => true,
    now: Date.now,
    log,
  });
  await replays.start();
  const app = createApp();
  addLedgerRoutes(app, {
    store: store.events,
    replays,
    redaction: buildEventRedaction(redacted),
    authorized: (_req, _res, next) => next(),
    defaultNamespace: NAMESPACE,
  });
  app.use(notFoundResponder());
  app.use(errorResponder(log));
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    store,
    delivered,
    append: async (...events) => {
      const appended = await store.events.append(
        events.map(({ data, attributes }, place) => ({
          broker: { namespace: NAMESPACE, name: "default" },
          event: {
            attributes: {
              specversion: "1.0",
              id: `e-${place}`,
              source: "/s",
              type: "t",
              ...attributes,
            },
            ...(data !== undefined && { data: Buffer.from(data as string) }),
          },
          headers: [
            ["X-Api-Key", "hunter2-key"],
            ["X-Customer", "hunter2-customer"],
          ],
          hops: 10,
          arrivedAt: Date.now(),
          via: "http",
        })),
      );
      return appended.map(({ ref }) => ref);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await replays.close();
      await consumer.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
