import { closeSync, constants, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { Readable, type Writable } from "node:stream";

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Opens a pipe that another process holds, for writing. */
export function openPipeWriter(pid: number, fd: number): number {
  return openSync(`/proc/${pid}/fd/${fd}`, O_WRONLY | O_NONBLOCK);
}

/** Opens a pipe that another process holds, for reading. Somebody must hold its writing end: else it reads as ended. */
export function openPipe(pid: number, fd: number): number {
  return openSync(`/proc/${pid}/fd/${fd}`, O_RDONLY | O_NONBLOCK);
}

/** {@link openPipe} as a stream. */
export function openPipeReader(pid: number, fd: number): Readable {
  return readPipe(openPipe(pid, fd));
}

/** A pipe that has been opened, as a stream, which closes it. */
export function readPipe(fd: number): Readable {
  return new Socket({ fd, readable: true, writable: false });
}

/**
 * Sends a process its input, and closes the pipe after it. What the pipe takes at once needs no stream.
 * @returns the stream the rest goes through; undefined when there is no rest
 */
export function sendInput(fd: number, input: Buffer | Readable): Writable | undefined {
  const isStream = input instanceof Readable;
  const sent = isStream ? 0 : writeNow(fd, input);
  if (!isStream && sent === input.length) {
    closeSync(fd);
    return undefined;
  }
  const stdin = new Socket({ fd, readable: false, writable: true });
  // A program need not read its input: it may end, or close it, before all is written.
  stdin.on("error", () => {});
  if (isStream) input.pipe(stdin);
  else stdin.end(input.subarray(sent));
  return stdin;
}

function writeNow(fd: number, input: Buffer): number {
  try {
    return input.length === 0 ? 0 : writeSync(fd, input);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EAGAIN") return 0;
    // A program that has ended, and its shell with it, wants none of it.
    if (code === "EPIPE") return input.length;
    throw error;
  }
}

/** Resolves when nothing more will be read from it. */
export function closed(stream: Readable): Promise<void> {
  if (stream.closed) return Promise.resolve();
  stream.on("error", () => {}); // it closes after that too
  return new Promise((resolve) => {
    stream.once("close", resolve);
  });
}
