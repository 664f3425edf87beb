import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that the system gives to whoever asks for any port, and those that watchdogs try for their functions. */
const FIRST_PORT = 10_240;
const PORTS = 6_144;

let last = Math.floor(Math.random() * PORTS);

/** A port that nobody listens on just now, and that is given to nobody who does not ask for it. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries++) {
    last = (last + 1) % PORTS;
    // Several may ask at a time.
    const port = FIRST_PORT + last;
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") continue;
      throw error;
    }
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error("no port is free");
}
