import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { LoneGateway } from "../support/lone-gateway.ts";

/** Large bodies of many clients, and small calls beside them. */
const CLIENTS = 128;
const BODY = Buffer.alloc(1024 ** 2, "x");
const HEAD = `POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n\r\n`;

let on: LoneGateway;
beforeAll(async () => {
  on = await LoneGateway.start();
  const [replica] = await on.startReplicas(1);
  await on.announce("f", [replica?.address as string]);
}, 60_000);
afterAll(() => on?.close(), 60_000);

/** Sends one body after the other. @param answered called for each that is answered */
function sendForever(answered: () => void): Socket {
  const socket = connect(on.port, "127.0.0.1");
  socket.on("error", () => {});
  const send = () => {
    socket.write(HEAD);
    socket.write(BODY);
  };
  socket.on("connect", send);
  let received = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    received += piece;
    if (!/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\d+/.test(received)) return;
    received = "";
    answered();
    send();
  });
  return socket;
}

/** A call over a connection of its own. @returns milliseconds */
async function callOnce(): Promise<number> {
  const since = performance.now();
  const answer = await fetch(on.url("f"), { headers: { connection: "close" } });
  expect(answer.status).toBe(200);
  await answer.text();
  return performance.now() - since;
}

const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] as number;

test(`beside ${CLIENTS} clients that send 1 MiB each a small call waits for few of theirs, and not for what they leave`, async () => {
  let answered = 0;
  const clients = Array.from({ length: CLIENTS }, () => sendForever(() => answered++));
  await eventually("they are answered", () => answered > CLIENTS, 60_000);
  const passed: number[] = [];
  const took: number[] = [];
  for (let i = 0; i < 15; i++) {
    const before = answered;
    took.push(await callOnce());
    passed.push(answered - before);
  }
  for (const socket of clients) socket.destroy();
  const afterwards: number[] = [];
  for (let i = 0; i < 15; i++) afterwards.push(await callOnce());
  process.stdout.write(
    `${CLIENTS} clients with 1 MiB each: ${middle(passed)} of their calls were answered within one small call, ` +
      `which took ${middle(took).toFixed(0)} ms, and at most ${Math.max(...afterwards).toFixed(0)} ms when all had left\n`,
  );
  expect(middle(passed)).toBeLessThan(CLIENTS / 2);
}, 120_000);
