import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { buildImage } from "./build-upload.ts";
import { eventually } from "./eventually.ts";
import type { Platform } from "./platform.ts";

/** Deploys the function of `switching-function.mjs`: a process of its own behind a watchdog. */
export const deploySwitching = (
  platform: Platform,
  service: string,
  labels: Record<string, string> = {},
  env: Record<string, string> = {},
): Promise<void> => deployServer(platform, service, "switching-function.mjs", labels, env);

/** Deploys that of `streaming-function.mjs`, whose calls find each other: there is one replica, however many they are. */
export const deployStreaming = (platform: Platform, service: string): Promise<void> =>
  deployServer(platform, service, "streaming-function.mjs", { "com.openfaas.scale.max": "1" });

/** Deploys a server of this folder as a function in mode `http`. */
export async function deployServer(
  platform: Platform,
  service: string,
  source: string,
  labels: Record<string, string> = {},
  env: Record<string, string> = {},
): Promise<void> {
  const how = { mode: "http", fprocess: "node function.mjs", upstream_url: "http://127.0.0.1:3000", ...env };
  await buildImage(platform, `${service}:1`, {
    "function.mjs": await readFile(fileURLToPath(new URL(source, import.meta.url)), "utf8"),
    "faaslane.json": JSON.stringify({ env: how }),
  });
  const body = JSON.stringify({ service, image: `${service}:1`, labels });
  const answer = await platform.control("/system/functions", { method: "POST", body });
  if (answer.status !== 202) throw new Error(`deploying ${service}: ${answer.status} ${await answer.text()}`);
}

/** A connection whose first request wants to go on with another protocol. */
export interface RawClient {
  readonly socket: Socket;
  /** All that has come. */
  received: string;
  ended: boolean;
  closed: boolean;
  error: NodeJS.ErrnoException | undefined;
}

/** The head of a request that offers `protocol`. */
export function upgradeHead(path: string, headers: readonly string[] = [], protocol = "echo"): string {
  const lines = [`GET ${path} HTTP/1.1`, "Host: localhost", "Connection: Upgrade", `Upgrade: ${protocol}`, ...headers];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

export function openRaw(port: number, text: string): RawClient {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const client: RawClient = { socket, received: "", ended: false, closed: false, error: undefined };
  socket.setEncoding("latin1").on("data", (piece: string) => {
    client.received += piece;
  });
  socket.on("end", () => {
    client.ended = true;
  });
  socket.on("error", (error) => {
    client.error = error;
  });
  socket.on("close", () => {
    client.closed = true;
  });
  socket.write(text, "latin1");
  return client;
}

export const hasSwitched = (client: RawClient): Promise<boolean> =>
  eventually("the protocol is switched", () => client.received.startsWith("HTTP/1.1 101 "), 20_000);

/** What has come behind the head of the answer. */
export function behindHead({ received }: RawClient): string {
  return received.slice(received.indexOf("\r\n\r\n") + 4);
}
