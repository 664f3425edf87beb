import { openJetStreamEvents } from "../../events/store/jetstream/index.ts";
import { createLogger } from "../../kit/log.ts";
import { describeBrokerRules } from "../support/events/broker-rules.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

const log = createLogger("silent");

describeWithNats("with nats-server", () => {
  describeBrokerRules("rules of brokers, on JetStream", async () => {
    const server = await NatsServer.start();
    return {
      open: () => openJetStreamEvents({ servers: [server.address], pollMs: 200, ackWaitMs: 5000, leaseMs: 1000, log }),
      remove: () => server.remove(),
    };
  });
});
