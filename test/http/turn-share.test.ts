import { Readable } from "node:stream";
import { expect, test } from "@jest/globals";
import { BodyInTurns } from "../../http/body-in-turns.ts";
import { eventually } from "../support/eventually.ts";

const MIB = 1024 ** 2;
const PIECE = Buffer.alloc(64 * 1024);

/** A body that is there as a whole, on its way. @param passed gets the length of each piece that has come through */
function pass(bytes: number, passed: (bytes: number) => void): BodyInTurns {
  const pieces = Array.from({ length: bytes / PIECE.length }, () => PIECE);
  const body = Readable.from(pieces, { objectMode: false }).pipe(new BodyInTurns());
  return body.on("data", (piece: Buffer) => passed(piece.length));
}

test("no turn of the event loop passes on more than its share of many bodies", async () => {
  const turns: number[] = [];
  let turn = 0;
  let total = 0;
  let goesOn = true;
  const count = () => {
    if (turn > 0) turns.push(turn);
    turn = 0;
    if (goesOn) setImmediate(count);
  };
  setImmediate(count);
  for (let i = 0; i < 50; i++) {
    pass(2 * MIB, (bytes) => {
      turn += bytes;
      total += bytes;
    });
  }
  await eventually("all have passed", () => total === 100 * MIB, 30_000);
  await new Promise(setImmediate);
  goesOn = false;
  expect(Math.max(...turns)).toBeLessThan(8 * MIB);
});

test("a body that comes last is through long before the others are", async () => {
  let others = 0;
  let before: number | undefined;
  const comesLast = () => {
    pass(128 * 1024, () => {}).on("end", () => {
      before = others;
    });
  };
  for (let i = 0; i < 50; i++) {
    pass(2 * MIB, (bytes) => {
      if (others === 0) comesLast();
      others += bytes;
    });
  }
  await eventually("all have passed", () => others === 100 * MIB, 30_000);
  expect(before).toBeLessThan(80 * MIB);
});

test("a body that is given up while it waits keeps nobody up", async () => {
  let total = 0;
  const bodies = Array.from({ length: 50 }, () =>
    pass(2 * MIB, (bytes) => {
      total += bytes;
    }),
  );
  await eventually("they are on their way", () => total > 0);
  for (const body of bodies.slice(0, 49)) body.destroy();
  await eventually("the last one is through", () => bodies[49]?.readableEnded === true, 30_000);
});
