/**
 * A worker of events on JetStream, for tests to kill. Tells of each try on standard output: the machine's monotonic time, the
 * event's id, the trigger, failures. Events of type `asks` are answered; those whose id ends in 7 fail once before.
 */
import { openJetStreamEvents } from "../../../events/store/jetstream/index.ts";

const [, , server, ackWaitMs] = process.argv;
const quiet = () => {};
const { events } = await openJetStreamEvents({
  servers: [server],
  ackWaitMs: Number(ackWaitMs),
  leaseMs: 1000,
  pollMs: 200,
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
});

const attempt = () => ({ at: Date.now(), durationMs: 1, status: 200 });

await events.consume(
  async (arrived) =>
    arrived.map(({ ref, event }) => ({
      ref,
      verdicts: [],
      deliveries:
        event.attributes.type === "reply"
          ? []
          : [{ trigger: "free" }, { trigger: "ordered", orderKey: String(event.attributes.partitionkey) }],
      keep: "full",
    })),
  async ({ event: stored, trigger, failures }) => {
    const { id, type } = stored.event.attributes;
    process.stdout.write(`${process.hrtime.bigint()} ${id} ${trigger} ${failures}\n`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
    if (id.endsWith("7") && failures === 0) {
      return { kind: "retry", afterMs: 20, attempt: { ...attempt(), status: 503 } };
    }
    if (type !== "asks" || trigger !== "free") return { kind: "done", attempt: attempt() };
    const reply = { specversion: "1.0", id: `reply-${id}`, source: "/f", type: "reply" };
    const { broker } = stored;
    const appended = [
      { broker, event: { attributes: reply }, headers: [], hops: 1, arrivedAt: Date.now(), via: "reply/free" },
    ];
    return { kind: "done", attempt: attempt(), appended };
  },
  { concurrency: 32, perTrigger: () => 16 },
);
process.stdout.write("ready\n");
