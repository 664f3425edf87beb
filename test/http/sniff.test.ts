import { expect, test } from "@jest/globals";
import { sniffContentType } from "../../http/sniff.ts";

test.each<[content: string, type: string]>([
  ["plain words", "text/plain; charset=utf-8"],
  ["", "text/plain; charset=utf-8"],
  ['{"json": true}', "text/plain; charset=utf-8"],
  [" \n<!doctype html><p>", "text/html; charset=utf-8"],
  ["<p>x", "text/html; charset=utf-8"],
  ["<pre>x", "text/plain; charset=utf-8"],
  ["<!-- c", "text/html; charset=utf-8"],
  ['<?xml version="1.0"?>', "text/xml; charset=utf-8"],
  ["%PDF-1.7", "application/pdf"],
  ["\x89PNG\r\n\x1a\n....", "image/png"],
  ["\xff\xd8\xff\xe0", "image/jpeg"],
  ["GIF89a", "image/gif"],
  ["RIFF\x01\x02\x03\x04WEBPVP8 ", "image/webp"],
  ["RIFF\x01\x02\x03\x04WAVE", "audio/wave"],
  ["\x1f\x8b\x08\x00", "application/x-gzip"],
  ["PK\x03\x04", "application/zip"],
  ["\x00asm\x01", "application/wasm"],
  ["\x00\x00\x00\x10ftypmp42\x00\x00\x00\x00", "video/mp4"],
  ["text\x00with a zero", "application/octet-stream"],
  ["\xef\xbb\xbfbom", "text/plain; charset=utf-8"],
])("%j is %s", (content, type) => {
  expect(sniffContentType(Buffer.from(content, "latin1"))).toBe(type);
});
