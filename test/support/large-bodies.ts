import { readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";

const MIB = 1024 ** 2;
export const GIB = 1024 * MIB;

/** Goes before what is measured, so that buffers and code are there, and the young heap has the size that it keeps. */
const WARM_UP_BYTES = 256 * MIB;
const LOOK_EVERY_MS = 50;

/**
 * Has a body of 256 MiB exchanged, then one of 1 GiB.
 * @param exchange passes bodies of so many bytes
 * @returns by how many bytes each process's resident memory exceeded, during the second, the most of the first
 */
export async function growthByLargeBodies(
  pids: readonly number[],
  exchange: (bytes: number) => Promise<void>,
): Promise<Map<number, number>> {
  const before = await mostWhile(pids, () => exchange(WARM_UP_BYTES));
  const most = await mostWhile(pids, () => exchange(GIB));
  return new Map(pids.map((pid) => [pid, (most.get(pid) ?? 0) - (before.get(pid) ?? 0)]));
}

async function mostWhile(pids: readonly number[], run: () => Promise<void>): Promise<Map<number, number>> {
  const most = new Map<number, number>();
  const look = async () => {
    for (const pid of pids) most.set(pid, Math.max(most.get(pid) ?? 0, await residentBytes(pid)));
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  await look();
  return most;
}

/** Resident memory of a process; 0 when there is none. Linux only. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

/** Posts a body of so many bytes, in pieces, as fast as it is taken. @returns the answer's text */
export async function sendLarge(url: string, bytes: number): Promise<string> {
  const sent = request(url, { method: "POST" });
  const answered = new Promise<IncomingMessage>((resolve, reject) => sent.on("response", resolve).on("error", reject));
  const piece = Buffer.alloc(64 * 1024, "x");
  for (let left = bytes; left > 0; left -= piece.length) {
    if (!sent.write(piece)) await new Promise((resolve) => sent.once("drain", resolve));
  }
  sent.end();
  let text = "";
  for await (const got of (await answered).setEncoding("utf8") as AsyncIterable<string>) text += got;
  return text;
}

/** @returns how many bytes came */
export async function readLarge(url: string): Promise<number> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) =>
    request(url).on("response", resolve).on("error", reject).end(),
  );
  let read = 0;
  for await (const got of answer as AsyncIterable<Buffer>) read += got.length;
  return read;
}
