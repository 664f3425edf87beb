import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { EmbeddedEngine } from "./embedded-engine.ts";
import type { EmbeddedSettings, FromWorker, ToWorker } from "./embedded-protocol.ts";
import { EmbeddedStore } from "./embedded-store.ts";

/** The thread of the embedded queue: `node:sqlite` blocks, and calls must not wait for a disk. */

/** How long after a change the file is tidied, and the pause between two steps of that. */
const TIDY_AFTER_MS = 1000;
const TIDY_PAUSE_MS = 50;
/** Pages given back at a time, few enough that a call that arrives meanwhile hardly waits. */
const SHRINK_PAGES = 512;
/** Unused pages (4 KiB each) that stay, for the next burst. */
const SPARE_PAGES = 1024;

function run(port: MessagePort, settings: EmbeddedSettings): void {
  const post = (message: FromWorker) => {
    if (message.kind === "deliver")
      port.postMessage(
        message,
        message.calls.map(({ body }) => body.buffer),
      );
    else port.postMessage(message);
  };
  const opened = open(settings, post);
  if (!opened) {
    port.close();
    return;
  }
  const { store, engine } = opened;
  let wake: NodeJS.Timeout | undefined;
  let tidy: NodeJS.Timeout | undefined;

  const work = (inbox: readonly ToWorker[]) => {
    clearTimeout(wake);
    engine.handle(inbox);
    if (inbox.some(({ kind }) => kind === "close")) {
      clearTimeout(tidy);
      store.close();
      post({ kind: "closed" });
      port.close();
      return;
    }
    const sleepMs = engine.sleepMs;
    wake = sleepMs === undefined ? undefined : setTimeout(work, sleepMs, []);
    if (inbox.some(({ kind }) => kind === "batch")) tidy ??= setTimeout(shrink, TIDY_AFTER_MS);
  };
  const shrink = () => {
    tidy = undefined;
    try {
      if (store.shrink(SHRINK_PAGES, SPARE_PAGES)) tidy = setTimeout(shrink, TIDY_PAUSE_MS);
      else store.checkpoint();
    } catch (error) {
      // Not worth more: the space is reused in any case.
      post({
        kind: "log",
        level: "warn",
        message: "could not shrink the queue's file",
        facts: { reason: String(error) },
      });
    }
  };

  port.on("message", (first: ToWorker) => {
    // All that has arrived while the last commit ran shares the next one.
    const inbox = [first];
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) inbox.push(next.message);
    work(inbox);
  });
  post({ kind: "opened" });
}

interface Opened {
  readonly store: EmbeddedStore;
  readonly engine: EmbeddedEngine;
}

/** Undefined after saying why not. */
function open(settings: EmbeddedSettings, post: (message: FromWorker) => void): Opened | undefined {
  let store: EmbeddedStore | undefined;
  try {
    store = new EmbeddedStore(settings.path, settings.maxBytes);
    return { store, engine: new EmbeddedEngine(store, settings, Date.now, post) };
  } catch (error) {
    store?.close();
    const why = (error as Error).message;
    post({ kind: "refusedToOpen", message: `cannot open the queue ${settings.path}: ${why}` });
    return undefined;
  }
}

if (parentPort) run(parentPort, workerData as EmbeddedSettings);
