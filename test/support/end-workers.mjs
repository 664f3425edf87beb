import { isMainThread } from "node:worker_threads";

/** Loaded before a program (`node --import`): on SIGUSR2, the oldest of its threads ends as if it had died. */
if (isMainThread) {
  const threads = [];
  process.on("worker", (thread) => {
    threads.push(thread);
    thread.on("exit", () => threads.splice(threads.indexOf(thread), 1));
  });
  process.on("SIGUSR2", () => threads[0]?.terminate());
}
