import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Plan } from "../support/rough-connection.ts";

/** A function's own server that answers `/case<N>` with the bytes that case N has planned, and all else well. */
export class ChildServer {
  readonly plans = new Map<string, Plan>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async open(): Promise<ChildServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ChildServer(server);
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    let head = "";
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // the platform has had enough of it
    socket.setEncoding("latin1").on("data", (piece: string) => {
      // Bodies are of no interest here, and none looks like a request.
      head = (head + piece).slice(-64 * 1024);
      for (let end = head.indexOf("\r\n\r\n"); end >= 0; end = head.indexOf("\r\n\r\n")) {
        const asked = /(\/case\d+)[^\r\n]* HTTP\/1\.1\r\n/.exec(head.slice(0, end + 4))?.[1];
        head = head.slice(end + 4);
        const plan = asked === undefined ? undefined : this.plans.get(asked);
        if (plan) void play(socket, plan);
        else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
      }
    });
  }
}

async function play(socket: Socket, { pieces, end, waitMs }: Plan): Promise<void> {
  for (const { bytes, pauseMs } of pieces) {
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (socket.destroyed) return;
    socket.write(bytes);
  }
  if (end === "finish") socket.end();
  else if (end === "reset") socket.resetAndDestroy();
  else if (end === "leave") socket.destroy();
  else setTimeout(() => socket.destroy(), waitMs);
}
