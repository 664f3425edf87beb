/**
 * `npm run bench:websocket`: messages to a WebSocket echo and back, straight to the function's own process and through
 * gateway and watchdog, side by side in one run. Numbers of one machine say little; the ratios are what is claimed.
 */

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { deploySwitching } from "../support/switching.ts";

const ROUNDS = 3;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 3);
const CONNECTIONS = [1, 64];
const MESSAGE_BYTES = 100;

/** Masked with zeros: the function unmasks it all the same. */
const MESSAGE = Buffer.concat([
  Buffer.from([0x81, 0x80 | MESSAGE_BYTES, 0, 0, 0, 0]),
  Buffer.alloc(MESSAGE_BYTES, "x"),
]);
const ECHO_BYTES = 2 + MESSAGE_BYTES;

interface Rate {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
}

const folder = await temporaryFolder();
const port = await freePort();
const source = fileURLToPath(new URL("../support/switching-function.mjs", import.meta.url));
const direct = spawn(process.execPath, [source], { env: { PORT: String(port) }, stdio: "ignore" });
try {
  const platform = await Platform.start({ dataDir: folder.path });
  try {
    await deploySwitching(platform, "ws");
    await eventually("the function answers", async () => (await fetch(`${platform.url}/function/ws`)).ok, 30_000, 100);
    for (const connections of CONNECTIONS) {
      const rates: Record<string, Rate[]> = { direct: [], gateway: [] };
      for (let round = 0; round < ROUNDS; round++) {
        rates.direct?.push(await measure(port, "/ws", connections));
        rates.gateway?.push(await measure(platform.port, "/function/ws/ws", connections));
      }
      const [straight, through] = [median(rates.direct ?? []), median(rates.gateway ?? [])];
      console.log(
        `${connections} connections: direct ${describe(straight)}, through gateway and watchdog ${describe(through)},` +
          ` ${(through.perSecond / straight.perSecond).toFixed(2)} × direct`,
      );
    }
  } finally {
    await platform.stop();
  }
} finally {
  direct.kill();
  await folder.remove();
}

function describe({ perSecond, p50 }: Rate): string {
  return `${Math.round(perSecond)} messages/s (p50 ${p50.toFixed(2)} ms)`;
}

function median(rates: readonly Rate[]): Rate {
  return rates.toSorted((a, b) => a.perSecond - b.perSecond)[Math.floor(rates.length / 2)] as Rate;
}

/** Each connection sends its next message when the one before is back. */
async function measure(at: number, path: string, connections: number): Promise<Rate> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => openWebSocket(at, path)));
  const times: number[] = [];
  const until = performance.now() + SECONDS * 1000;
  await Promise.all(sockets.map((socket) => echo(socket, until, times)));
  for (const socket of sockets) socket.destroy();
  times.sort((a, b) => a - b);
  return { perSecond: times.length / SECONDS, p50: times[Math.floor(times.length / 2)] ?? 0 };
}

function echo(socket: Socket, until: number, times: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = ECHO_BYTES;
    let sentAt = performance.now();
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection was closed")));
    socket.on("data", (piece) => {
      left -= piece.length;
      if (left > 0) return;
      left = ECHO_BYTES;
      const now = performance.now();
      times.push(now - sentAt);
      if (now >= until) {
        resolve();
        return;
      }
      sentAt = now;
      socket.write(MESSAGE);
    });
    socket.write(MESSAGE);
  });
}

async function openWebSocket(at: number, path: string): Promise<Socket> {
  const socket = connect(at, "127.0.0.1").setNoDelay();
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
  );
  const head = await new Promise<Buffer>((resolve, reject) => socket.once("data", resolve).once("error", reject));
  if (!head.toString().startsWith("HTTP/1.1 101 ")) throw new Error(`no switch: ${head}`);
  socket.removeAllListeners("error");
  return socket;
}
