import { lstat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { StartError } from "./process.ts";

/** Long enough for a process that is busy. */
const ASK_MS = 2_000;

/**
 * Has `server` listen on a Unix socket, in the place of one that a process has left behind. Closing it removes the file.
 * @throws {StartError} when another process listens there, or the file is no socket
 */
export async function listenOnSocket(server: Server, path: string, mode: number): Promise<void> {
  await removeStale(path);
  // From the moment that it is there; it is made before `listen` returns.
  const mask = process.umask(0o777 & ~mode);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await statOf(path);
  if (!found) return;
  if (!found.isSocket()) throw new StartError(`bind_address: ${path} is there and is no socket`);
  if (await isAnswered(path)) throw new StartError(`bind_address: another process listens on ${path}`);
  // Another that starts at this moment may have put its own there.
  if ((await statOf(path))?.ino === found.ino) await unlink(path);
}

async function statOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether anybody listens. One who does not get round to it does. */
async function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  const timer = setTimeout(() => resolve(true), ASK_MS);
  socket.once("connect", () => resolve(true));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  const answered = await promise;
  clearTimeout(timer);
  socket.destroy();
  return answered;
}
