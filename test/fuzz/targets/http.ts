import { carryOut } from "../../support/rough-connection.ts";
import type { Dice } from "../dice.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import { planFor } from "../plan.ts";
import type { PlatformUnderFuzz } from "../platform-under-fuzz.ts";
import type { FuzzTarget } from "../target.ts";

const HELLO = ["Content-Length: 5", "", "hello"];
const CHUNKS = ["Transfer-Encoding: chunked", "", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"];

/** Requests that are fine, but change nothing that the other cases need. AUTH stands for the credentials. */
const REQUESTS: readonly (readonly string[])[] = [
  ["GET /function/plain?a=b HTTP/1.1"],
  ["GET /function/plain.openfaas-fn/a/b%20c?d=%2f HTTP/1.1", "Connection: close"],
  ["HEAD /function/plain HTTP/1.1"],
  ["POST /function/plain HTTP/1.1", ...HELLO],
  ["POST /function/plain HTTP/1.1", ...CHUNKS],
  ["POST /function/plain HTTP/1.1", "Expect: 100-continue", ...HELLO],
  ["POST /function/plain HTTP/1.0", ...HELLO],
  [
    "POST /function/plain HTTP/1.1",
    "X-Call-Id: a",
    "X-Forwarded-For: 1.2.3.4",
    "Trailer: X-T",
    ...CHUNKS.slice(0, -1),
    "5\r\nhello\r\n0\r\nX-T: a\r\n\r\n",
  ],
  ["PUT /function/plain HTTP/1.1", "Content-Type: text/plain; charset=utf-8", ...HELLO],
  ["GET /function/nowhere HTTP/1.1"],
  ["GET /function//plain/../x HTTP/1.1"],
  ["GET http://127.0.0.1/function/plain HTTP/1.1"],
  ["CONNECT 127.0.0.1:1 HTTP/1.1"],
  [
    "GET /function/plain HTTP/1.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  ],
  ["GET /function/plain HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
  ["PRI * HTTP/2.0", "", "SM", ""],
  ["OPTIONS * HTTP/1.1"],
  ["POST /async-function/plain?delay=1s HTTP/1.1", "X-Call-Id: later", "X-Idempotency-Key: k", ...HELLO],
  [
    "POST /async-function/plain HTTP/1.1",
    "X-Callback-Url: http://127.0.0.1:9/",
    "X-Delay: 10ms",
    "X-Not-After: 1m",
    ...HELLO,
  ],
  ["GET /async-function/later?wait=100ms HTTP/1.1"],
  ["GET /async-function/1-1/result HTTP/1.1"],
  ["DELETE /async-function/later HTTP/1.1"],
  ["GET /system/functions?namespace=openfaas-fn HTTP/1.1", "AUTH"],
  ["GET /system/function/plain HTTP/1.1", "AUTH"],
  ["GET /system/info HTTP/1.1", "AUTH"],
  ["GET /system/secrets HTTP/1.1", "AUTH"],
  ["GET /system/namespaces HTTP/1.1", "AUTH"],
  ["GET /system/namespace/openfaas-fn HTTP/1.1", "AUTH"],
  ["GET /system/logs?name=plain&follow=true&tail=5&since=2026-01-01T00:00:00Z HTTP/1.1", "AUTH"],
  ["GET /system/endpoints HTTP/1.1", "AUTH"],
  ["GET /system/scaling/plain/history?since=2026-01-01T00:00:00Z HTTP/1.1", "AUTH"],
  ["GET /system/queue?function=plain HTTP/1.1", "AUTH"],
  ["GET /system/queue/dead-letters?limit=5 HTTP/1.1", "AUTH"],
  ["GET /system/queue/calls?state=waiting&limit=5 HTTP/1.1", "AUTH"],
  ["GET /system/queue/call?id=x HTTP/1.1", "AUTH"],
  [
    "POST /system/scale-function/plain HTTP/1.1",
    "AUTH",
    "Content-Type: application/json",
    "Content-Length: 14",
    "",
    '{"replicas":1}',
  ],
  ["POST /system/alert HTTP/1.1", "AUTH", "Content-Type: application/json", "Content-Length: 13", "", '{"alerts":[]}'],
  ["GET /system/functions HTTP/1.1", "Authorization: Basic YWRtaW46YWRtaW4="],
  ["POST /announce HTTP/1.1", "Content-Type: application/json", "Content-Length: 13", "", '{"token":"a"}'],
  ["GET /healthz HTTP/1.1"],
  ["GET /metrics HTTP/1.1", "Accept-Encoding: gzip"],
  ["GET /ui/ HTTP/1.1", "AUTH"],
  ["GET / HTTP/1.1", "Sec-Fetch-Site: cross-site", "Origin: http://evil.test"],
];

/** Bytes to each of the three ports: requests that are fine but for some places, in pieces, broken off, unread. */
export function httpTarget({ platform, authorization }: PlatformUnderFuzz): FuzzTarget {
  const ports = [platform.port, platform.port, platform.providerPort, Number(new URL(platform.metricsUrl).port)];
  const corpus = REQUESTS.map((lines) => {
    const [first = "", ...rest] = lines.map((line) => (line === "AUTH" ? `Authorization: ${authorization}` : line));
    const text = [first, `Host: 127.0.0.1:${platform.port}`, ...rest].join("\r\n");
    return Buffer.from(rest.includes("") ? text : `${text}\r\n\r\n`);
  });

  function write(dice: Dice): Buffer {
    const messages = Array.from({ length: dice.size(6) }, () => mutateBytes(corpus, dice));
    if (dice.chance(0.02))
      messages.unshift(Buffer.concat(Array.from({ length: dice.size(5_000) }, () => messages[0] as Buffer)));
    if (dice.chance(0.02)) {
      const long = `GET /${"a".repeat(dice.size(2 ** 21))} HTTP/1.1\r\nHost: ${"b".repeat(dice.size(4096))}\r\n`;
      messages.unshift(Buffer.from(long));
    }
    return Buffer.concat(messages).subarray(0, 4 * 1024 ** 2);
  }

  return {
    name: "http",
    lanes: 16,
    prepare(dice) {
      const port = dice.pick(ports);
      const input = write(dice);
      const plan = planFor(input, dice);
      return {
        input,
        async run() {
          const answer = await carryOut(port, plan);
          if (/^HTTP\/1\.1 500[\s\S]*\n\ninternal error/.test(answer.replaceAll("\r", ""))) throw new Error(answer);
          if (answer !== "" && !/^HTTP\/1\.1 [1-5]\d\d [ -~]*\r\n/.test(answer))
            throw new Error(`no answer of HTTP: ${answer.slice(0, 200)}`);
        },
      };
    },
    async close() {},
  };
}
