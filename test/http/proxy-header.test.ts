import { expect, test } from "@jest/globals";
import { readProxyHeader } from "../../http/proxy-header.ts";

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
/** @param told addresses and what follows them */
const binary = (versionAndCommand: number, family: number, told: Buffer, length = told.length) =>
  Buffer.concat([SIGNATURE, Buffer.from([versionAndCommand, family, length >> 8, length & 255]), told]);
const FOUR = Buffer.from("cb007109c000020701bb1f90", "hex");
const SIX = Buffer.from(`20010db8${"0".repeat(22)}09${"0".repeat(31)}101bb1f90`, "hex");
const TLVS = Buffer.from("030004abcdef0104000100", "hex");

test.each<[what: string, bytes: Buffer | string, source: { address: string; port: number } | undefined]>([
  ["a line for IPv4", "PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n", { address: "203.0.113.9", port: 443 }],
  ["a line for IPv6", "PROXY TCP6 2001:db8::9 ::1 0 65535\r\n", { address: "2001:db8::9", port: 0 }],
  ["an unknown one", "PROXY UNKNOWN\r\n", undefined],
  ["an unknown one with words", "PROXY UNKNOWN ffff::1 whatever 1 2\r\n", undefined],
  ["binary for IPv4", binary(0x21, 0x11, FOUR), { address: "203.0.113.9", port: 443 }],
  ["binary for IPv6", binary(0x21, 0x21, SIX), { address: "2001:db8::9", port: 443 }],
  ["more that the proxy tells", binary(0x21, 0x11, Buffer.concat([FOUR, TLVS])), { address: "203.0.113.9", port: 443 }],
  ["a Unix socket", binary(0x21, 0x31, Buffer.alloc(216, "a")), undefined],
  ["no family", binary(0x21, 0x00, Buffer.alloc(0)), undefined],
  ["no family with more", binary(0x21, 0x00, TLVS), undefined],
  ["a health check of the proxy", binary(0x20, 0x11, FOUR), undefined],
  ["a health check without an address", binary(0x20, 0x00, Buffer.alloc(0)), undefined],
])("PROXY: %s, in one piece or in many, and what follows stays", (_what, header, source) => {
  const bytes = Buffer.from(header);
  const whole = { kind: "header", bytes: bytes.length, ...(source && { source }) };
  expect(readProxyHeader(bytes)).toEqual(whole);
  expect(readProxyHeader(Buffer.concat([bytes, Buffer.from("GET / HTTP/1.1\r\n")]))).toEqual(whole);
  for (let i = 0; i < bytes.length; i++) expect(readProxyHeader(bytes.subarray(0, i))).toEqual({ kind: "unfinished" });
});

test.each<[what: string, bytes: Buffer | string]>([
  ["a request", "GET / HTTP/1.1\r\n\r\n"],
  ["a handshake", Buffer.from("1603010200", "hex")],
  ["the word in small letters", "proxy TCP4 203.0.113.9 192.0.2.7 443 8080\r\n"],
  ["IPv6 said to be IPv4", "PROXY TCP4 ::1 ::1 443 8080\r\n"],
  ["IPv4 said to be IPv6", "PROXY TCP6 203.0.113.9 192.0.2.7 443 8080\r\n"],
  ["an octal address", "PROXY TCP4 0313.0.113.9 192.0.2.7 443 8080\r\n"],
  ["a zone", "PROXY TCP6 fe80::1%eth0 ::1 443 8080\r\n"],
  ["a port out of range", "PROXY TCP4 203.0.113.9 192.0.2.7 65536 8080\r\n"],
  ["a port with a zero before it", "PROXY TCP4 203.0.113.9 192.0.2.7 0443 8080\r\n"],
  ["a negative port", "PROXY TCP4 203.0.113.9 192.0.2.7 -1 8080\r\n"],
  ["two blanks", "PROXY TCP4  203.0.113.9 192.0.2.7 443 8080\r\n"],
  ["too few fields", "PROXY TCP4 203.0.113.9 443\r\n"],
  ["too many fields", "PROXY TCP4 203.0.113.9 192.0.2.7 443 8080 1\r\n"],
  ["a header smuggled into the line", "PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\nX: y\r\n"],
  ["a line that ends with a line feed only", `PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\n${" ".repeat(70)}`],
  ["a line that does not end", `PROXY UNKNOWN ${"x".repeat(100)}`],
  ["UDP", "PROXY UDP4 203.0.113.9 192.0.2.7 443 8080\r\n"],
  ["version 3", binary(0x31, 0x11, FOUR)],
  ["an unknown command", binary(0x22, 0x11, FOUR)],
  ["binary UDP", binary(0x21, 0x12, FOUR)],
  ["an unknown family", binary(0x21, 0x41, FOUR)],
  ["an address that is cut off", binary(0x21, 0x11, FOUR.subarray(0, 11))],
  ["IPv4 said to be IPv6, in binary", binary(0x21, 0x21, FOUR)],
  ["a length that never comes", binary(0x21, 0x11, FOUR, 65_535)],
  ["a signature with one other byte", Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from("X")])],
])("no PROXY header: %s", (_what, bytes) => {
  expect(readProxyHeader(Buffer.from(bytes))).toMatchObject({ kind: "wrong" });
});
