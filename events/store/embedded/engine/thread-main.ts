import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { isOutOfSpace } from "../../../../contract/shortages.ts";
import { DatabaseHousekeeper } from "../../../../kit/database-housekeeper.ts";
import { refusedToOpen } from "../../../../kit/database-thread.ts";
import { isDamage, isOutOfReach } from "../../../../kit/embedded-database.ts";
import { FreeSpace } from "../../../../kit/free-space.ts";
import { SpareSpace } from "../../../../kit/spare-space.ts";
import { steadyNow } from "../../../../kit/steady-clock.ts";
import { EventFile } from "../db/event-file.ts";
import type { EmbeddedEventSettings, FromEventThread, ToEventThread } from "../protocol.ts";
import { EventStoreEngine } from "./engine.ts";

/** The thread of the embedded store of events: `node:sqlite` blocks, and nobody is to wait for a disk. */

/** Enough to write the log back into the database and settle what waits. */
const RESERVE_BYTES = 8 * 1024 ** 2;

type Batch = Extract<ToEventThread, { kind: "batch" }>;

function run(port: MessagePort, settings: EmbeddedEventSettings): void {
  const post = (message: FromEventThread) => port.postMessage(message);
  const opened = open(settings, post);
  if (!opened) {
    port.close();
    return;
  }
  const { file, spare, engine } = opened;
  const housekeeper = new DatabaseHousekeeper(file, spare, { file: "events'", takesNo: "new events" }, post);
  let wake: NodeJS.Timeout | undefined;

  const work = (inbox: readonly ToEventThread[]) => {
    clearTimeout(wake);
    engine.handle(inbox.filter((message): message is Batch => message.kind === "batch"));
    if (inbox.some(({ kind }) => kind === "close")) {
      // What still comes is too late, and must not keep the thread.
      port.off("message", receive);
      housekeeper.stop();
      file.close();
      port.close();
      return;
    }
    const sleepMs = engine.sleepMs;
    wake = sleepMs === undefined ? undefined : setTimeout(work, sleepMs, []);
    housekeeper.changed();
  };

  const receive = (first: ToEventThread) => {
    // All that has arrived while the last commit ran shares the next one.
    const inbox = [first];
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) inbox.push(next.message);
    work(inbox);
  };
  port.on("message", receive);
  post({ kind: "opened" });
  work([]);
}

interface Opened {
  readonly file: EventFile;
  readonly spare: SpareSpace;
  readonly engine: EventStoreEngine;
}

/** Undefined after saying why not. */
function open(settings: EmbeddedEventSettings, post: (message: FromEventThread) => void): Opened | undefined {
  let file: EventFile | undefined;
  try {
    const spare = new SpareSpace(`${settings.path}-spare`, RESERVE_BYTES);
    const opened = openFile(settings, spare);
    file = opened;
    const space = new FreeSpace(settings.path, settings.minFreeBytes, undefined, () => opened.unusedBytes());
    return { file, spare, engine: new EventStoreEngine(file, spare, settings, Date.now, steadyNow, post, space) };
  } catch (error) {
    file?.close();
    post(refusedToOpen(`cannot open the events ${settings.path}${adviceOn(error)}`, error));
    return undefined;
  }
}

/** What to do about it, where that is known. */
function adviceOn(error: unknown): string {
  if (isDamage(error)) return " (restore it from a backup, or move it away to begin without any)";
  if (isOutOfReach(error)) return " (this user must be able to read and write the file and its folder)";
  return "";
}

/** Even to be opened the file needs some room beside it. */
function openFile({ path, maxBytes }: EmbeddedEventSettings, spare: SpareSpace): EventFile {
  try {
    return new EventFile(path, maxBytes);
  } catch (error) {
    if (!isOutOfSpace(error) || !spare.release()) throw error;
    return new EventFile(path, maxBytes);
  }
}

if (parentPort) run(parentPort, workerData as EmbeddedEventSettings);
