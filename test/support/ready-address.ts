import type { EndpointsEvent } from "../../contract/endpoints.ts";
import type { Platform } from "./platform.ts";

/** `host:port` of a function's replica, as the provider tells gateways. @throws when none is ready */
export async function readyAddress(platform: Platform, name: string): Promise<string> {
  const leave = new AbortController();
  const stream = await platform.control("/system/endpoints", { signal: leave.signal });
  let text = "";
  for await (const piece of (stream.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.includes('"heartbeat"')) break; // the snapshots are before it
  }
  leave.abort();
  const events = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as EndpointsEvent);
  for (const event of events) {
    if (event.type === "heartbeat" || event.function.name !== name) continue;
    const ready = event.function.endpoints.find(({ state }) => state === "ready");
    if (ready) return ready.address;
  }
  throw new Error(`no replica of ${name} is ready: ${text}`);
}
