import { describe } from "@jest/globals";
import { attemptsContract } from "./queue/attempts.ts";
import { batchesContract } from "./queue/batches.ts";
import { callbackAgainContract } from "./queue/callback-again.ts";
import { callbacksContract } from "./queue/callbacks.ts";
import { cancelContract } from "./queue/cancel.ts";
import { deadLettersContract } from "./queue/dead-letters.ts";
import { deliveryContract } from "./queue/delivery.ts";
import { idempotencyContract } from "./queue/idempotency.ts";
import { limitsContract } from "./queue/limits.ts";
import { listingContract } from "./queue/listing.ts";
import { purgeContract } from "./queue/purge.ts";
import { roomContract } from "./queue/room.ts";
import { QueueSetup, type QueueStorage } from "./queue/setup.ts";
import { slotlessContract } from "./queue/slotless.ts";
import { statusContract } from "./queue/status.ts";

export {
  Deliveries,
  DONE,
  limited,
  newCall,
  type QueueLimits,
  type QueueStorage,
  WIDE,
} from "./queue/setup.ts";

/** What every queue promises. Each test has a queue on storage of its own. */
export function queueContract(name: string, newStorage: () => Promise<QueueStorage>): void {
  const suites = {
    delivery: deliveryContract,
    idempotency: idempotencyContract,
    attempts: attemptsContract,
    limits: limitsContract,
    "calls without a slot": slotlessContract,
    status: statusContract,
    cancelling: cancelContract,
    purging: purgeContract,
    listing: listingContract,
    room: roomContract,
    "dead letters": deadLettersContract,
    batches: batchesContract,
    "callbacks that wait": callbacksContract,
    "a callback once more": callbackAgainContract,
  };
  describe(`${name} as a queue`, () => {
    for (const [topic, suite] of Object.entries(suites)) {
      describe(topic, () => suite(QueueSetup.use(newStorage)));
    }
  });
}
