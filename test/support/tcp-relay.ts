import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A way to a server that can be blocked without either end noticing: what is sent meanwhile arrives later. */
export class TcpRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #blocked = false;

  private constructor(host: string, port: number) {
    // What a socket has read is passed on by hand, so that a blocked one holds nothing back in a pipe.
    this.#server = createServer((near) => {
      const far = connect(port, host);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        if (this.#blocked) from.pause();
        from.on("data", (data) => to.write(data));
        from.on("error", () => {}); // it is closed then, and so is the other one
        from.on("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  /**
   * @param address `host:port` of the server
   * @param at the relay's own port; any unless given
   */
  static async open(address: string, at = 0): Promise<TcpRelay> {
    const [host, port] = address.split(":") as [string, string];
    const relay = new TcpRelay(host, Number(port));
    relay.#server.listen(at, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  /** `host:port` for clients. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  block(): void {
    this.#blocked = true;
    for (const socket of this.#sockets) socket.pause();
  }

  unblock(): void {
    this.#blocked = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
