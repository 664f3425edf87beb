import type { Dice } from "./dice.ts";
import { mutateBytes } from "./mutate-bytes.ts";

const of = (line: string, headers: readonly string[], body = "") => `${[line, ...headers].join("\r\n")}\r\n\r\n${body}`;
const OK = "HTTP/1.1 200 OK";
const CHUNKS = "2\r\nok\r\n0\r\n\r\n";

/** Answers of a function that are fine, and some that are not. */
const ANSWERS = [
  of(OK, ["Content-Length: 2"], "ok"),
  of(OK, ["Content-Type: text/plain", "Set-Cookie: a=b", "Set-Cookie: c=d", "Content-Length: 2"], "ok"),
  of(OK, ["Transfer-Encoding: chunked"], CHUNKS),
  of(OK, ["Transfer-Encoding: chunked", "Trailer: X-T"], "2;a=b\r\nok\r\n0\r\nX-T: 1\r\n\r\n"),
  of(OK, ["Connection: close"], "until the end"),
  of("HTTP/1.0 200 OK", [], "until the end"),
  of("HTTP/1.1 204 No Content", ["X-A: b"]),
  of("HTTP/1.1 304 Not Modified", ["Content-Length: 5"]),
  of("HTTP/1.1 100 Continue", [], of(OK, ["Content-Length: 2"], "ok")),
  of("HTTP/1.1 103 Early Hints", ["Link: </a>"], of(OK, ["Content-Length: 2"], "ok")),
  of("HTTP/1.1 101 Switching Protocols", ["Connection: Upgrade", "Upgrade: websocket"], "\x81\x05hello"),
  of("HTTP/1.1 429 Too Many Requests", ["X-OpenFaaS-Internal: faas-idler", "Retry-After: 1", "Content-Length: 0"]),
  of("HTTP/1.1 503 Service Unavailable", ["X-OpenFaaS-Internal: gateway", "Content-Length: 2"], "no"),
  of("HTTP/1.1 307 Temporary Redirect", ["Location: http://127.0.0.1:1/", "Content-Length: 0"]),
  of(OK, ["Content-Type: text/event-stream", "Cache-Control: no-cache"], "data: 1\n\ndata: 2\n\n"),
  of(OK, ["Content-Encoding: gzip", "Content-Length: 2"], "ok"),
  of("HTTP/1.1 200 O\x01K", ["Content-Length: 2"], "ok"),
  of("HTTP/1.1 200", ["Content-Length: 2"], "ok"),
  of("HTTP/1.1 099 Low", ["Content-Length: 2"], "ok"),
  of("HTTP/1.1 999 High", ["Content-Length: 2"], "ok"),
].map((text) => Buffer.from(text, "latin1"));

/** What a function may write to its connection. */
export function writeAnswer(dice: Dice): Buffer {
  const parts: Buffer[] = [mutateBytes(ANSWERS, dice)];
  if (dice.chance(0.2)) parts.push(mutateBytes(ANSWERS, dice));
  if (dice.chance(0.05)) {
    const interim = dice.pick([
      "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n",
      "HTTP/1.1 102 \r\n\r\n",
    ]);
    parts.unshift(Buffer.alloc(interim.length * dice.size(20_000), interim));
  }
  if (dice.chance(0.05)) {
    const header = Buffer.alloc(dice.size(500_000), dice.pick(["X-A: b\r\n", "a", "Set-Cookie: a=b\r\n"]));
    parts.unshift(Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n"), header, Buffer.from("\r\n")]));
  }
  if (dice.chance(0.05))
    parts.push(Buffer.alloc(dice.size(4 * 1024 ** 2), dice.pick(["x", "1\r\nx\r\n", "data: x\n\n"])));
  return Buffer.concat(parts);
}
