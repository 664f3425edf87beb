import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { isOutOfSpace } from "../../../../contract/shortages.ts";
import { DatabaseHousekeeper } from "../../../../kit/database-housekeeper.ts";
import { refusedToOpen } from "../../../../kit/database-thread.ts";
import { FreeSpace } from "../../../../kit/free-space.ts";
import { SpareSpace } from "../../../../kit/spare-space.ts";
import { steadyNow } from "../../../../kit/steady-clock.ts";
import { EmbeddedStore } from "../db/store.ts";
import type { EmbeddedSettings, FromWorker, ToWorker } from "../protocol.ts";
import { EmbeddedEngine } from "./engine.ts";

/** The thread of the embedded queue: `node:sqlite` blocks, and calls must not wait for a disk. */

/** Enough to write the log back into the database and finish what waits. */
const RESERVE_BYTES = 8 * 1024 ** 2;

function run(port: MessagePort, settings: EmbeddedSettings): void {
  const post = (message: FromWorker) => {
    if (message.kind === "deliver")
      port.postMessage(
        message,
        message.answers.flatMap(({ calls }) => calls.map(({ body }) => body.buffer)),
      );
    else port.postMessage(message);
  };
  const opened = open(settings, post);
  if (!opened) {
    port.close();
    return;
  }
  const { store, spare, engine } = opened;
  const housekeeper = new DatabaseHousekeeper(store, spare, { file: "queue's", takesNo: "new calls" }, post);
  let wake: NodeJS.Timeout | undefined;

  const work = (inbox: readonly ToWorker[]) => {
    clearTimeout(wake);
    engine.handle(inbox);
    if (inbox.some(({ kind }) => kind === "close")) {
      // What still comes is too late, and must not keep the thread.
      port.off("message", receive);
      housekeeper.stop();
      store.close();
      port.close();
      return;
    }
    const sleepMs = engine.sleepMs;
    wake = sleepMs === undefined ? undefined : setTimeout(work, sleepMs, []);
    housekeeper.changed();
  };

  const receive = (first: ToWorker) => {
    // All that has arrived while the last commit ran shares the next one.
    const inbox = [first];
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) inbox.push(next.message);
    work(inbox);
  };
  port.on("message", receive);
  post({ kind: "opened", key: store.key });
  work([]);
}

interface Opened {
  readonly store: EmbeddedStore;
  readonly spare: SpareSpace;
  readonly engine: EmbeddedEngine;
}

/** Undefined after saying why not. */
function open(settings: EmbeddedSettings, post: (message: FromWorker) => void): Opened | undefined {
  let store: EmbeddedStore | undefined;
  try {
    const spare = new SpareSpace(`${settings.path}-spare`, RESERVE_BYTES);
    const opened = openStore(settings, spare);
    store = opened;
    const space = new FreeSpace(settings.path, settings.minFreeBytes, "async_min_free", () => opened.unusedBytes());
    return { store, spare, engine: new EmbeddedEngine(opened, spare, settings, Date.now, post, space, steadyNow) };
  } catch (error) {
    store?.close();
    post(refusedToOpen(`cannot open the queue ${settings.path}`, error));
    return undefined;
  }
}

/** Even to be opened the file needs some room beside it. */
function openStore({ path, maxBytes }: EmbeddedSettings, spare: SpareSpace): EmbeddedStore {
  try {
    return new EmbeddedStore(path, maxBytes);
  } catch (error) {
    if (!isOutOfSpace(error) || !spare.release()) throw error;
    return new EmbeddedStore(path, maxBytes);
  }
}

if (parentPort) run(parentPort, workerData as EmbeddedSettings);
