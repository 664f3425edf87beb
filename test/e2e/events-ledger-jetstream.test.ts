import { openJetStreamEvents } from "../../events/store/jetstream/index.ts";
import { describeLedger } from "../events/ledger-contract.ts";
import { silent } from "../gateway/queue/jetstream/support.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

describeWithNats("with nats-server", () => {
  describeLedger("over the JetStream store", async () => {
    const server = await NatsServer.start();
    return {
      open: () =>
        openJetStreamEvents({ servers: [server.address], pollMs: 200, ackWaitMs: 3000, leaseMs: 1000, log: silent }),
      remove: () => server.remove(),
    };
  });
});
