import { connect } from "nats";
import type { NatsServer } from "../support/nats-server.ts";

/** Publishes as a client of NATS does that waits for each answer. @returns messages per second */
export async function publishRaw(
  { address }: NatsServer,
  { seconds, inFlight, bodyBytes }: { readonly seconds: number; readonly inFlight: number; readonly bodyBytes: number },
): Promise<number> {
  const nc = await connect({ servers: address });
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: "raw", subjects: ["raw.>"] });
  const js = nc.jetstream();
  const body = Buffer.alloc(bodyBytes, "x");
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let published = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (; performance.now() < endsAt; published++) await js.publish("raw.call", body);
    }),
  );
  const took = (performance.now() - startedAt) / 1000;
  await jsm.streams.delete("raw");
  await nc.close();
  return published / took;
}
