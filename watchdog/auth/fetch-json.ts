import type { IncomingMessage } from "node:http";
import { collectBody } from "../body.ts";

const TIMEOUT_MS = 10_000;
const LARGEST_BYTES = 1024 * 1024;

/**
 * Asks for a JSON document.
 * @throws when it is not there within ten seconds, is larger than a mebibyte, or is no JSON
 */
export async function fetchJson(url: string): Promise<unknown> {
  const secure = url.startsWith("https:");
  const { get } = secure ? process.getBuiltinModule("node:https") : process.getBuiltinModule("node:http");
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { Accept: "application/json", "User-Agent": "openfaas-watchdog" };
  get(url, { headers, agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }, resolve).on("error", reject);
  const answer = await promise.catch((error: Error) => {
    throw new Error(`${url}: ${error.message}`);
  });
  const read = await collectBody(answer, LARGEST_BYTES);
  answer.destroy();
  if (answer.statusCode !== 200) throw new Error(`${url}: answered with status ${answer.statusCode}`);
  if (read.kind !== "read") throw new Error(`${url}: no whole answer of at most ${LARGEST_BYTES} bytes`);
  try {
    return JSON.parse(read.body.toString("utf8"));
  } catch {
    throw new Error(`${url}: the answer is no JSON`);
  }
}
