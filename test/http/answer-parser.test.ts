import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { AnswerFields, AnswerHead } from "../../http/client/answer-head.ts";
import { AnswerParser, type AnswerSink } from "../../http/client/answer-parser.ts";

const MAX_HEAD_BYTES = 1_000;

/** What a parser tells, with a body as one. */
class Told implements AnswerSink {
  readonly heads: { status: number; reason: string; fields: AnswerFields }[] = [];
  body = "";
  trailers: AnswerFields | undefined;
  persistent: boolean | undefined;
  /** Bytes behind the answer. */
  left = 0;
  error: string | undefined;

  onHead({ status, reason, fields }: AnswerHead): void {
    this.heads.push({ status, reason, fields: { ...fields } });
  }

  onBody(piece: Buffer): void {
    this.body += piece.toString("latin1");
  }

  onEnd(trailers: AnswerFields, persistent: boolean): void {
    this.trailers = trailers;
    this.persistent = persistent;
  }
}

/** @param ended whether the connection ends behind it */
function read(pieces: readonly Buffer[], method = "GET", ended = true): Told {
  const told = new Told();
  const parser = new AnswerParser(told, MAX_HEAD_BYTES);
  parser.begin(method);
  try {
    for (const piece of pieces) told.left += piece.length - parser.feed(piece);
    if (ended) parser.finish();
  } catch (error) {
    told.error = (error as Error).message;
  }
  return told;
}

const bytes = (text: string) => Buffer.from(text, "latin1");
const readText = (text: string, method?: string, ended?: boolean) => read([bytes(text)], method, ended);
const OK = "HTTP/1.1 200 OK\r\n";

test.each<[what: string, text: string, body: string, persistent: boolean]>([
  ["a length", `${OK}Content-Length: 2\r\n\r\nok`, "ok", true],
  ["a length of nothing", `${OK}Content-Length: 0\r\n\r\n`, "", true],
  [
    "chunks",
    `${OK}Transfer-Encoding: Chunked\r\n\r\n2\r\nok\r\nA;a="b"\r\n0123456789\r\n0\r\n\r\n`,
    "ok0123456789",
    true,
  ],
  ["neither, until the end", `${OK}\r\nuntil the end`, "until the end", false],
  ["a length, and then closes", `${OK}Connection: x, Close\r\nContent-Length: 2\r\n\r\nok`, "ok", false],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false],
  ["HTTP/1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", "ok", true],
  ["no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", true],
])("an answer with %s is whole", (_what, text, body, persistent) => {
  const { error, body: read, persistent: kept, left } = readText(text);
  expect({ error, read, kept, left }).toEqual({ error: undefined, read: body, kept: persistent, left: 0 });
});

test.each<[what: string, method: string, text: string, persistent: boolean]>([
  ["to HEAD", "HEAD", `${OK}Content-Length: 5\r\n\r\n`, false],
  ["204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", true],
  ["304 with the length of what it stands for", "GET", "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", false],
  ["204 that says it were chunked", "GET", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n", false],
])("the answer %s has no body", (_what, method, text, persistent) => {
  const told = readText(text, method, false);
  expect([told.error, told.body, told.persistent]).toEqual([undefined, "", persistent]);
});

test.each([
  ["no status line", "hello\r\n\r\n"],
  ["another protocol", "SSH-2.0-OpenSSH\r\n"],
  ["another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"],
  ["two spaces before its status", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["an interim one behind which nothing may come", `HTTP/1.1 103 X\r\nConnection: close\r\n\r\n${OK}\r\n`],
  ["an interim one of HTTP/1.0, which has none", `HTTP/1.0 103 X\r\n\r\n${OK}\r\n`],
  ["bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
  ["one bare line feed", `${OK}A: b\nContent-Length: 0\r\n\r\n`],
  ["a bare carriage return", `${OK}A: b\rC: d\r\nContent-Length: 0\r\n\r\n`],
  ["a folded header", `${OK}A: b\r\n c\r\nContent-Length: 0\r\n\r\n`],
  ["a header before the first", `${OK} A: b\r\nContent-Length: 0\r\n\r\n`],
  ["a space before a colon", `${OK}Content-Length : 0\r\n\r\n`],
  ["no colon", `${OK}nonsense\r\nContent-Length: 0\r\n\r\n`],
  ["no name", `${OK}: b\r\nContent-Length: 0\r\n\r\n`],
  ["a NUL in a value", `${OK}A: \0\r\nContent-Length: 0\r\n\r\n`],
  ["two lengths", `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk`],
  ["the same length twice", `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
  ["a list of lengths", `${OK}Content-Length: 2, 2\r\n\r\nok`],
  ["a signed length", `${OK}Content-Length: +2\r\n\r\nok`],
  ["an empty length", `${OK}Content-Length:\r\n\r\nok`],
  ["a length beyond counting", `${OK}Content-Length: 99999999999999999999\r\n\r\nok`],
  ["a length and chunks", `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ["chunks twice", `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["another coding before chunks", `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ["another coding", `${OK}Transfer-Encoding: identity\r\n\r\nok`],
  ["a chunk without a length", `${OK}Transfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n`],
  ["a chunk of 0x2 bytes", `${OK}Transfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n`],
  ["a space behind a chunk's length", `${OK}Transfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n`],
  ["a bare line feed behind a chunk's length", `${OK}Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n`],
  ["a chunk that goes on", `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n`],
  ["a chunk beyond counting", `${OK}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok`],
  ["an endless extension", `${OK}Transfer-Encoding: chunked\r\n\r\n2;${"a".repeat(2_000)}`],
  ["a trailer that is none", `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n`],
  ["endless trailers", `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${"A: b\r\n".repeat(500)}`],
  ["an endless head", `${OK}${"A: b\r\n".repeat(500)}`],
  ["an endless line", `${OK}A: ${"b".repeat(2_000)}`],
])("an answer with %s is refused, before its connection ends", (_what, text) => {
  const told = readText(text, "GET", false);
  expect(told.error).toEqual(expect.any(String));
  expect(told.persistent).toBeUndefined();
});

test.each([
  ["its head", `${OK}Content-Len`],
  ["its body", `${OK}Content-Length: 3\r\n\r\nok`],
  ["a chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nok`],
  ["its chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`],
  ["its trailers", `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n`],
  ["an interim one", "HTTP/1.1 103 Early Hints\r\n\r\n"],
])("an answer that ends within %s is not whole", (_what, text) => {
  expect(readText(text).error).toEqual(expect.any(String));
});

test("interim answers come before the final one", () => {
  const told = readText(
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
  );
  expect(told.heads.map(({ status }) => status)).toEqual([100, 103, 200]);
  expect(told.body).toBe("ok");
});

test("what stands behind an answer is not taken for a part of it", () => {
  const second = `${OK}Content-Length: 6\r\n\r\nstolen`;
  const told = readText(`${OK}Content-Length: 2\r\n\r\nok${second}`);
  expect([told.body, told.left]).toEqual(["ok", second.length]);
});

test("fields that come several times are all there, whatever they are called", () => {
  const text = `${OK}Set-Cookie: a\r\nset-cookie: b\r\n__proto__: c\r\n__proto__: d\r\nToString: e\r\nContent-Length: 0\r\n\r\n`;
  const [head] = readText(text).heads;
  const fields = new Map(Object.entries(head?.fields ?? {}));
  expect([fields.get("set-cookie"), fields.get("__proto__"), fields.get("tostring")]).toEqual([
    ["a", "b"],
    ["c", "d"],
    "e",
  ]);
  expect(Object.getPrototypeOf(head?.fields)).toBe(Object.prototype);
});

test("a pause holds up what comes after it, and nothing is lost", () => {
  const told = new Told();
  const parser = new AnswerParser(told, MAX_HEAD_BYTES);
  parser.begin("GET");
  const whole = bytes(`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nnow\r\n0\r\n\r\n`);
  told.onBody = (piece) => {
    told.body += piece.toString("latin1");
    parser.pause();
  };
  const taken = parser.feed(whole);
  expect([told.body, parser.feed(whole.subarray(taken))]).toEqual(["ok", 0]);
  parser.resume();
  const more = taken + parser.feed(whole.subarray(taken));
  parser.resume();
  parser.feed(whole.subarray(more));
  expect([told.body, told.persistent]).toEqual(["oknow", true]);
});

describe("however it is cut", () => {
  const field = fc.tuple(fc.stringMatching(/^[A-Za-z-]{1,12}$/), fc.stringMatching(/^[!-~]{0,20}$/));
  const fields = fc.array(
    field.filter(([name]) => !/^(content-length|transfer-encoding|connection)$/i.test(name)),
    { maxLength: 5 },
  );
  const body = fc.string({ maxLength: 60 }).map((text) => Buffer.from(text).toString("latin1"));
  const lines = (all: [string, string][]) => all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const chunked = (chunks: string[], trailers: [string, string][]) =>
    `${chunks
      .filter((chunk) => chunk !== "")
      .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
      .join("")}0\r\n${lines(trailers)}\r\n`;
  const answer = fc.oneof(
    fc
      .record({ head: fields, body })
      .map((one) => `${OK}${lines(one.head)}Content-Length: ${one.body.length}\r\n\r\n${one.body}`),
    fc
      .record({ head: fields, chunks: fc.array(body, { maxLength: 4 }), trailers: fields })
      .map((one) => `${OK}${lines(one.head)}Transfer-Encoding: chunked\r\n\r\n${chunked(one.chunks, one.trailers)}`),
  );
  const cuts = fc.array(fc.nat(400), { maxLength: 12 });

  test("an answer is the same, and ends where it ends", () => {
    fc.assert(
      fc.property(answer, cuts, fc.boolean(), (text, at, behind) => {
        const whole = bytes(behind ? `${text}HTTP/1.1 200 more` : text);
        const expected = read([whole], "GET", false);
        expect([expected.error, expected.left]).toEqual([undefined, whole.length - text.length]);
        const places = [0, ...at.filter((place) => place < whole.length).sort((a, b) => a - b), whole.length];
        const pieces = places.slice(1).map((end, i) => whole.subarray(places[i], end));
        expect({ ...read(pieces, "GET", false) }).toEqual({ ...expected });
        const single = Array.from(whole, (byte) => Buffer.of(byte));
        expect({ ...read(single, "GET", false) }).toEqual({ ...expected });
      }),
      { numRuns: 300 },
    );
  });
});
