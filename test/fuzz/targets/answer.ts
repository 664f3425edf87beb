import { type AddressInfo, createServer } from "node:net";
import { Client } from "undici";
import type { AnswerFields } from "../../../http/client/answer-head.ts";
import { HttpClient } from "../../../http/client/http-client.ts";
import { writeAnswer } from "../answers.ts";
import type { FuzzTarget } from "../target.ts";

/** What a client makes of an answer. */
interface Verdict {
  readonly outcome: "whole" | "broken";
  status: number | undefined;
  fields: string;
  body: string;
}

const MAX_HEAD_BYTES = 64 * 1024;
const TIMEOUT_MS = 5_000;

/** Names and values, whatever the order in which they came. undici leaves the blanks behind a value. */
function plain(fields: AnswerFields): string {
  const trimmed = Object.entries(fields).map(([name, values]) => [
    name,
    [values ?? []].flat().map((value) => value.replace(/[\t ]+$/, "")),
  ]);
  return JSON.stringify(trimmed.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
}

function collect(send: (taker: Record<string, unknown>) => void): Promise<Verdict> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let status: number | undefined;
    let fields = "";
    const over = (outcome: Verdict["outcome"]) =>
      resolve({ outcome, status, fields, body: Buffer.concat(pieces).toString("latin1") });
    send({
      onRequestStart() {},
      onResponseStart(control: { abort(reason: Error): void }, now: number, all: AnswerFields) {
        status = now;
        fields = plain(all);
        if (now === 101) control.abort(new Error("nobody has asked for it"));
      },
      onResponseData: (_control: unknown, piece: Buffer) => pieces.push(piece),
      onResponseEnd: () => over("whole"),
      onResponseError: () => over("broken"),
    });
  });
}

/**
 * Answers as our own client reads them beside undici. Ours may refuse what that takes, but what it takes has to be the
 * same to both: two readers of one answer is what smuggling lives from.
 */
export async function openAnswerTarget(): Promise<FuzzTarget> {
  const cases = new Map<string, Buffer>();
  const server = createServer((socket) => {
    socket.on("error", () => {}); // the client has had enough of it
    socket.once("data", (request: Buffer) => {
      const path = request.toString("latin1").split(" ")[1] as string;
      socket.end(cases.get(path) ?? "");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  let last = 0;

  const askOurs = async (path: string, method: string) => {
    const client = new HttpClient({ address, connectTimeoutMs: TIMEOUT_MS, maxHeadBytes: MAX_HEAD_BYTES });
    try {
      return await collect((taker) =>
        client.send({ method, path, headers: [], body: null }, TIMEOUT_MS, taker as never),
      );
    } finally {
      await client.destroy();
    }
  };
  const askUndici = async (path: string, method: string) => {
    const client = new Client(`http://${address}`, { maxHeaderSize: MAX_HEAD_BYTES, headersTimeout: TIMEOUT_MS });
    try {
      return await collect((taker) => client.dispatch({ method: method as "GET", path }, taker as never));
    } finally {
      await client.destroy();
    }
  };

  return {
    name: "answer",
    lanes: 8,
    prepare(dice) {
      const path = `/case${last++}`;
      const method = dice.pick(["GET", "GET", "GET", "HEAD", "POST"]);
      const input = writeAnswer(dice);
      return {
        input,
        async run() {
          cases.set(path, input);
          try {
            const [ours, undicis] = await Promise.all([askOurs(path, method), askUndici(path, method)]);
            if (ours.outcome === "whole") compare(ours, undicis, input);
          } finally {
            cases.delete(path);
          }
        },
      };
    },
    async close() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** undici takes no 100 that was not asked for, which HTTP lets a server send. */
const UNASKED_100 = /^(HTTP\/1\.[01] 1\d\d[^\r\n]*\r\n([^\r\n]+\r\n)*\r\n)*HTTP\/1\.[01] 100[ \r]/;

function compare(ours: Verdict, undicis: Verdict, input: Buffer): void {
  if (undicis.outcome === "broken" && UNASKED_100.test(input.toString("latin1"))) return;
  for (const what of ["outcome", "status", "fields", "body"] as const) {
    if (ours[what] === undicis[what]) continue;
    const short = (value: unknown) => JSON.stringify(String(value).slice(0, 200));
    throw new Error(`${what}: ours ${short(ours[what])}, undici's ${short(undicis[what])}`);
  }
}
