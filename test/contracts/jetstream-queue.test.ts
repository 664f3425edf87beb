import { openJetStreamQueue } from "../../gateway/queue/jetstream/index.ts";
import { silent } from "../gateway/queue/jetstream/support.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { type QueueLimits, type QueueStorage, queueContract } from "./queue-contract.ts";

describeWithNats("with nats-server", () => {
  queueContract("JetStream", newStorage);
});

async function newStorage(): Promise<QueueStorage> {
  const server = await NatsServer.start();
  return {
    open: ({ maxBodyBytes, maxResultBytes, resultTtlMs, calls, maxDead }: QueueLimits = {}) =>
      openJetStreamQueue({
        servers: [server.address],
        maxBodyBytes: maxBodyBytes ?? 10 * 1024 ** 2,
        maxResultBytes: maxResultBytes ?? 1024 ** 2,
        resultTtlMs: resultTtlMs ?? 900_000,
        limits: { ...(maxDead !== undefined && { maxDead }) },
        callLimits: calls ?? {},
        pollMs: 200,
        log: silent,
      }),
    remove: () => server.remove(),
  };
}
