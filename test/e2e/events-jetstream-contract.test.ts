import { connect, type NatsConnection } from "nats";
import { EVENT_STREAMS } from "../../events/store/jetstream/client/names.ts";
import { openJetStreamEvents } from "../../events/store/jetstream/index.ts";
import { describeEventStore } from "../events/store-contract.ts";
import { silent } from "../gateway/queue/jetstream/support.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

/** The shortest that a server has. */
const WINDOW_NS = 100_000_000;

/** Sees what is published of deliveries and their records, and brings it back. */
class Witness {
  readonly #nats: NatsConnection;
  /** The last of each subject, by kind: deliveries, and records with what is still to be done. */
  readonly #seen = new Map<string, Uint8Array>();

  constructor(nats: NatsConnection) {
    this.#nats = nats;
    nats.subscribe("FAASLANE.events.record.>", {
      callback: (_err, msg) => {
        if (msg.string().includes("outbox")) this.#seen.set(msg.subject, msg.data);
      },
    });
    nats.subscribe("FAASLANE.events.due.>", {
      callback: (_err, msg) => {
        const again = JSON.stringify({ ...msg.json<object>(), again: true });
        this.#seen.set(`${msg.subject} ${again}`, Buffer.from(again));
      },
    });
  }

  async bringBack(): Promise<void> {
    const manager = await this.#nats.jetstreamManager();
    for (const stream of [EVENT_STREAMS.log, EVENT_STREAMS.deliveries, EVENT_STREAMS.records]) {
      const { config } = await manager.streams.info(stream);
      await manager.streams.update(stream, { ...config, duplicate_window: WINDOW_NS });
    }
    // Names of messages are forgotten some time after their window.
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const [key, data] of this.#seen) await this.#nats.jetstream().publish(key.split(" ")[0] as string, data);
    await eventually(
      "all is stored",
      async () => (await manager.streams.info(EVENT_STREAMS.deliveries)).state.messages > 0,
    );
  }

  async close(): Promise<void> {
    await this.#nats.close();
  }
}

describeWithNats("with nats-server", () => {
  describeEventStore("JetStream store", async () => {
    const server = await NatsServer.start();
    const witness = new Witness(await connect({ servers: server.address }));
    return {
      open: () =>
        openJetStreamEvents({ servers: [server.address], pollMs: 200, ackWaitMs: 3000, leaseMs: 1000, log: silent }),
      unnote: () => witness.bringBack(),
      remove: async () => {
        await witness.close();
        await server.remove();
      },
    };
  });
});
