import type { Dice } from "./dice.ts";

type Mutation = (bytes: Buffer, dice: Dice, corpus: readonly Buffer[]) => Buffer;

const splice = (bytes: Buffer, at: number, removed: number, inserted: Uint8Array) =>
  Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);

/** What readers of HTTP, tar and YAML may stumble over. */
const TOKENS = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  "\n\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  '"',
  "'",
  "\\",
  "%",
  "%00",
  "%2f",
  "%0d%0a",
  "../",
  "//",
  "0",
  "-1",
  "+1",
  "1e9",
  "0x10",
  "99999999999999999999",
  "4294967296",
  "9007199254740993",
  "NaN",
  "\ufeff",
  "\u2028",
  "\ud800",
  "é",
  "Content-Length: 0\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Connection: close\r\n",
  "Connection: upgrade\r\n",
  "Upgrade: websocket\r\n",
  "Expect: 100-continue\r\n",
  "Host: a\r\n",
  "0\r\n\r\n",
  "5\r\nhello\r\n",
  "ffffffff\r\n",
  "CONNECT x:1 HTTP/1.1\r\n\r\n",
  "HTTP/1.1 ",
  "HTTP/0.9",
  "HTTP/2.0",
  "GET ",
  "POST ",
  "{",
  "}",
  "[",
  "]",
  "<<: *a\n",
  "&a ",
  "*a",
  "!!binary ",
  "- ",
  "? ",
  "|\n",
  `\${A}`,
  `\${A:-b}`,
  "---\n",
  "__proto__",
  "constructor",
].map((token) => Buffer.from(token));

const MUTATIONS: readonly Mutation[] = [
  (bytes, dice) => {
    const copy = Buffer.from(bytes);
    if (copy.length > 0) copy[dice.below(copy.length)] = dice.below(256);
    return copy;
  },
  (bytes, dice) => splice(bytes, dice.below(bytes.length + 1), 0, dice.pick(TOKENS)),
  (bytes, dice) => splice(bytes, dice.below(bytes.length + 1), dice.size(8), dice.pick(TOKENS)),
  (bytes, dice) => splice(bytes, dice.below(bytes.length + 1), dice.size(bytes.length + 1), Buffer.alloc(0)),
  (bytes, dice) => splice(bytes, dice.below(bytes.length + 1), 0, dice.bytes(dice.size(64))),
  (bytes, dice) => splice(bytes, dice.below(bytes.length + 1), 0, Buffer.alloc(dice.size(4096), dice.below(256))),
  // A part of it again.
  (bytes, dice) => {
    const at = dice.below(bytes.length + 1);
    const part = bytes.subarray(at, at + dice.size(512));
    const times = Buffer.concat(Array.from({ length: dice.between(1, 8) }, () => part));
    return splice(bytes, at, 0, times);
  },
  // A part of another.
  (bytes, dice, corpus) => {
    const other = dice.pick(corpus);
    const at = dice.below(other.length + 1);
    return splice(bytes, dice.below(bytes.length + 1), dice.size(64), other.subarray(at, at + dice.size(512)));
  },
  // A line again, or without its end, or gone.
  (bytes, dice) => {
    const lines = bytes.toString("latin1").split("\n");
    const at = dice.below(lines.length);
    const line = lines[at] as string;
    const change = dice.below(3);
    if (change === 0) lines.splice(at, 0, line);
    else if (change === 1) lines[at] = line.trimEnd();
    else lines.splice(at, 1);
    return Buffer.from(lines.join("\n"), "latin1");
  },
  // Another number where one was.
  (bytes, dice) => {
    const text = bytes.toString("latin1");
    const numbers = [...text.matchAll(/\d+/g)];
    if (numbers.length === 0) return bytes;
    const { index, 0: number } = dice.pick(numbers);
    const others = ["", "0", "-1", "00", "1", `${number}0`, "4294967296", "18446744073709551616", "1e3", "0x1"];
    return Buffer.from(text.slice(0, index) + dice.pick(others) + text.slice(index + number.length), "latin1");
  },
];

/** Some of `corpus`, changed here and there. @param maxBytes of the result */
export function mutateBytes(corpus: readonly Buffer[], dice: Dice, maxBytes = 64 * 1024): Buffer {
  let bytes = dice.pick(corpus);
  for (let left = dice.size(12) - 1; left > 0; left--) bytes = dice.pick(MUTATIONS)(bytes, dice, corpus);
  return bytes.subarray(0, maxBytes);
}
