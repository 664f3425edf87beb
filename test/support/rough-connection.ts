import { connect } from "node:net";

export type End = "wait" | "finish" | "reset" | "leave";

/** How bytes are sent: in which pieces, with which pauses, and how the connection ends. */
export interface Plan {
  readonly pieces: readonly { readonly bytes: Buffer; readonly pauseMs: number }[];
  /** After the last piece: reads the answer; says that nothing more will come, and reads it; resets; or closes. */
  readonly end: End;
  /** Nothing of the answer is read. */
  readonly deaf: boolean;
  /** Longest wait for the answer. */
  readonly waitMs: number;
}

/** Sends bytes as planned. @returns what was answered, as far as it was read */
export async function carryOut(port: number, plan: Plan): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  socket.on("error", () => {}); // refused or reset: that is an answer too
  socket.on("close", () => resolve());
  if (plan.deaf) socket.pause();
  else {
    socket.setEncoding("latin1").on("data", (piece: string) => {
      if (answer.length < 1024 ** 2) answer += piece;
    });
  }
  for (const { bytes, pauseMs } of plan.pieces) {
    if (pauseMs > 0) await closedWithin(closed, pauseMs);
    if (socket.destroyed) break;
    socket.write(bytes);
  }
  const { end, waitMs } = plan;
  if (end === "finish") socket.end();
  if (end === "wait" || end === "finish") await closedWithin(closed, waitMs);
  if (end === "reset") socket.resetAndDestroy();
  else socket.destroy();
  await closed;
  return answer;
}

async function closedWithin(closed: Promise<void>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([late, closed]);
  clearTimeout(timer);
}
