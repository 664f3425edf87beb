import { expect, test } from "@jest/globals";
import {
  connectionNames,
  endToEndHeaders,
  isFinalStatus,
  isHopByHop,
  mayHaveBody,
  sendableReason,
} from "../../http/forwarding.ts";

test.each([undefined, "", "close", "keep-alive", "Keep-Alive", "close, keep-alive", "upgrade", " , ,"])(
  "Connection: %s names nothing",
  (connection) => {
    expect(connectionNames(connection)).toBeUndefined();
  },
);

test.each(["content-length", "Content-Length", "host, close", "transfer-encoding", "HOST,content-length"])(
  "Connection: %s cannot name framing or addressee away",
  (connection) => {
    expect(connectionNames(connection)).toBeUndefined();
  },
);

test("Connection names headers by any spelling", () => {
  expect([...(connectionNames("close, X-Hop ,x-OTHER") ?? [])]).toEqual(["x-hop", "x-other"]);
});

test("what travels on keeps its order and spelling", () => {
  const sent = ["x-A", "1", "Keep-Alive", "5", "X-Hop", "1", "X-a", "2", "TE", "trailers", "Expect", "100-continue"];
  expect(endToEndHeaders(sent, "x-hop", new Set(["expect"]))).toEqual(["x-A", "1", "X-a", "2"]);
});

test("the framing is the connection's own", () => {
  expect(["transfer-encoding", "trailer", "upgrade", "content-length", "host"].map(isHopByHop)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});

test.each([
  [99, false],
  [100, false],
  [103, false],
  [199, false],
  [200, true],
  [599, true],
  [999, true],
  [1000, false],
])("status %d can end an exchange: %s", (status, expected) => {
  expect(isFinalStatus(status)).toBe(expected);
});

test("two statuses have no body", () => {
  expect([200, 204, 205, 304, 404].map(mayHaveBody)).toEqual([true, false, true, false, true]);
});

test.each([
  ["Fine", "Fine"],
  ["caf\xe9", "caf\xe9"],
  ["", undefined],
  [undefined, undefined],
  ["O\x01K", undefined],
  ["a\r\nX: 1", undefined],
  ["\u20ac", undefined],
  ["x".repeat(257), undefined],
])("reason phrase %j is sent as %j", (reason, sent) => {
  expect(sendableReason(reason)).toBe(sent);
});
