import { setTimeout as delay } from "node:timers/promises";
import { type JetStreamQueueOptions, openJetStreamQueue } from "../../../../gateway/queue/jetstream/index.ts";
import type { NewCall, Queue } from "../../../../gateway/queue/queue.ts";
import type { NatsServer } from "../../../support/nats.ts";

/** Says nothing; with `FAASLANE_TEST_LOG=1` everything, to see what a test comes to. */
export const silent: JetStreamQueueOptions["log"] = { debug: tell, info: tell, warn: tell, error: tell };

function tell(facts: unknown, message?: string): void {
  if (process.env.FAASLANE_TEST_LOG !== "1") return;
  const { err } = facts as { err?: Error };
  process.stderr.write(`${message} ${JSON.stringify(facts)} ${err?.stack ?? ""}\n`);
}

export function openOn(
  servers: NatsServer | readonly NatsServer[],
  options: Partial<JetStreamQueueOptions> = {},
): Promise<Queue> {
  return openJetStreamQueue({
    servers: [servers].flat().map(({ address }) => address),
    maxBodyBytes: 10 * 1024 ** 2,
    maxResultBytes: 1024 ** 2,
    resultTtlMs: 900_000,
    pollMs: 200,
    log: silent,
    ...options,
  });
}

/** Publishes until told to stop, some calls at a time, going on after refusals. */
export class Publishers {
  readonly accepted: string[] = [];
  readonly refused: { readonly error: { readonly kind?: string }; readonly afterMs: number }[] = [];
  readonly #ended: Promise<unknown>;
  #stopped = false;
  #last = 0;

  constructor(queue: Queue, inFlight: number, call: (callId: string) => NewCall, pauseMs = 1) {
    this.#ended = Promise.all(
      Array.from({ length: inFlight }, async () => {
        while (!this.#stopped) {
          const start = performance.now();
          try {
            this.accepted.push((await queue.publish(call(`call-${++this.#last}`))).id);
          } catch (error) {
            this.refused.push({ error: error as { kind?: string }, afterMs: performance.now() - start });
          }
          await delay(pauseMs);
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }
}
