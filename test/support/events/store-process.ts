import { openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import type { NewEvent } from "../../../events/store/event-store.ts";
import { createLogger } from "../../../kit/log.ts";

/** Takes events, each once, delivers them and what follows from them, and says so, until it is killed or all is done. */

const [path = "", count = "0"] = process.argv.slice(2);
const say = (line: string) => process.stdout.write(`${line}\n`);
const { events } = await openEmbeddedEvents({ path, log: createLogger("silent"), minFreeBytes: 0 });

function event(id: string, type: string): NewEvent {
  return {
    broker: { namespace: "openfaas-fn", name: "default" },
    event: { attributes: { specversion: "1.0", id, source: "/kill", type }, data: Buffer.alloc(500, id) },
    headers: [],
    hops: 5,
    arrivedAt: Date.now(),
    via: "http",
  };
}

await events.consume(
  async (routed) =>
    routed.map(({ ref, event: { attributes } }) => ({
      ref,
      verdicts: [{ trigger: String(attributes.type), matched: true }],
      deliveries: [{ trigger: String(attributes.type), orderKey: String(attributes.id).slice(-1) }],
      keep: "full",
    })),
  async (delivery) => {
    const { id, type } = delivery.event.event.attributes;
    say(`delivered ${id}`);
    const attempt = { at: Date.now(), durationMs: 0, status: 200 };
    if (type === "first" && delivery.failures === 0 && String(id).endsWith("7"))
      return { kind: "retry", afterMs: 1, attempt };
    return { kind: "done", attempt, ...(type === "first" && { appended: [event(`reply-${id}`, "reply")] }) };
  },
  { concurrency: 32, perTrigger: () => 24 },
);

for (let i = 0; i < Number(count); i += 10) {
  const some = Array.from({ length: 10 }, (_, j) => ({ ...event(`e-${i + j}`, "first"), once: `e-${i + j}` }));
  await events.append(some);
  for (let j = 0; j < 10; j++) say(`appended e-${i + j}`);
}

for (;;) {
  const [stats] = await events.stats("openfaas-fn");
  if (stats?.pending === 0 && Object.keys(stats.open).length === 0) break;
  await new Promise((resolve) => setTimeout(resolve, 10));
}
await events.close();
say("finished");
