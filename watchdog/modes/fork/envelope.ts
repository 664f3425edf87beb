import type { IncomingMessage } from "node:http";
import { canonicalHeader } from "./cgi.ts";

/** Kept outside the headers by Go's server, whose view of a request the envelope shows. */
const NOT_HEADERS = new Set(["Host", "Transfer-Encoding"]);

/** What `marshal_request` puts on stdin: all headers, and the body in base64. */
export function buildEnvelope(req: IncomingMessage, body: Buffer): Buffer {
  const byName = new Map<string, string[]>();
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = canonicalHeader(req.rawHeaders[i] as string);
    if (NOT_HEADERS.has(name)) continue;
    const values = byName.get(name) ?? [];
    values.push(req.rawHeaders[i + 1] as string);
    byName.set(name, values);
  }
  const header = Object.fromEntries([...byName].sort(([a], [b]) => (a < b ? -1 : 1)));
  return Buffer.from(JSON.stringify({ header, body: { raw: body.toString("base64") } }));
}
