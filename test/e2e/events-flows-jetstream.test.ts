import { openJetStreamEvents } from "../../events/store/jetstream/index.ts";
import { describeFlows } from "../events/flow-suite.ts";
import { silent } from "../gateway/queue/jetstream/support.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

describeWithNats("with nats-server", () => {
  describeFlows("flows on JetStream", async () => {
    const server = await NatsServer.start();
    const stores = await openJetStreamEvents({ servers: [server.address], log: silent });
    await stores.whenOpen;
    return {
      ...stores,
      close: async () => {
        await stores.close();
        await server.remove();
      },
    };
  });
});
