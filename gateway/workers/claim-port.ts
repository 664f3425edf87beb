import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/**
 * Makes sure that nobody listens on a port that several threads are going to share. Two gateways that share one by mistake
 * would each get some of the calls, and nobody would be told.
 * @param port 0 for any
 * @returns the port
 * @throws the listen error when somebody does
 */
export async function claimPort(port: number, host: string): Promise<number> {
  const server = createServer().listen({ port, host, exclusive: true });
  await once(server, "listening");
  const { port: claimed } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return claimed;
}
