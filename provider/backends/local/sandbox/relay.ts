import { closeSync, constants, openSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** An address of this machine for a replica that has no network. */
export interface SandboxRelay {
  /** `host:port`. */
  readonly address: string;
  close(): void;
}

/** Name of the replica's socket in its folder. */
export const SOCKET = "watchdog.sock";
/** Each takes two descriptors of the platform. */
const MAX_CONNECTIONS = 512;

/**
 * Listens on a free port of 127.0.0.1 and passes connections on to the socket in `folder`. It costs a copy of every byte
 * in this process, so it is for replicas that cannot listen themselves.
 */
export async function openRelay(folder: string): Promise<SandboxRelay> {
  // A path of a socket has room for a hundred characters; that of a descriptor always fits.
  const handle = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const path = `/proc/self/fd/${handle}/${SOCKET}`;
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    const replica = connect({ path, allowHalfOpen: true });
    for (const socket of [caller, replica]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    join(caller, replica);
    join(replica, caller);
  });
  server.maxConnections = MAX_CONNECTIONS;
  try {
    const port = await listen(server);
    let closed = false;
    return {
      address: `127.0.0.1:${port}`,
      close() {
        if (closed) return;
        closed = true;
        server.close();
        for (const socket of sockets) socket.destroy();
        closeSync(handle);
      },
    };
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on("error", () => to.destroy());
  from.once("close", (hadError) => {
    // One that was cut off in the middle must not look finished to the other side.
    if (hadError || !from.readableEnded) to.destroy();
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1" }, () => {
      server.off("error", reject);
      // A connection that cannot be accepted needs no further handling.
      server.on("error", () => {});
      resolve((server.address() as AddressInfo).port);
    });
  });
}
