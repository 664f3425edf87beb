import type { RequestListener } from "node:http";
import { gzipSync } from "node:zlib";

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");

/** Answers whose functions say nothing of their type, and the type that a caller with a type of its own gets to see. */
export const UNTYPED_ANSWERS: readonly (readonly [rule: string, answer: RequestListener, type: string | null])[] = [
  ["a picture is one, whatever was uploaded", (_req, res) => res.end(PNG), "image/png"],
  ["text is text", (_req, res) => res.end("grüße"), "text/plain; charset=utf-8"],
  ["a page is a page", (_req, res) => res.end("<!doctype html><p>"), "text/html; charset=utf-8"],
  ["bytes are bytes", (_req, res) => res.end(Buffer.from([0, 1, 2])), "application/octet-stream"],
  [
    "what comes in pieces is what it begins with",
    (_req, res) => void res.write("%PDF-1", () => res.end("x")),
    "application/pdf",
  ],
  ["failures too", (_req, res) => res.writeHead(500).end("sorry"), "text/plain; charset=utf-8"],
  ["nothing has no type", (_req, res) => res.end(), null],
  ["nor has nothing in chunks", (_req, res) => void res.writeHead(200, { "transfer-encoding": "chunked" }).end(), null],
  ["nor what has no content", (_req, res) => res.writeHead(204).end(), null],
  ["nor what is packed", (_req, res) => res.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("x")), null],
  ["a type that is there stays", (_req, res) => res.writeHead(200, { "content-type": "text/x" }).end(PNG), "text/x"],
];

/** Begins a stream without a type, and sends its first piece only when `more` is called. */
export function silentStream(): { readonly listener: RequestListener; more(): void } {
  const waiting: (() => void)[] = [];
  return {
    listener: (_req, res) => {
      res.flushHeaders();
      waiting.push(() => res.end("late"));
    },
    more: () => {
      for (const go of waiting.splice(0)) go();
    },
  };
}
