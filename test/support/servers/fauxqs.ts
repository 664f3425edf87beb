import { type FauxqsServer, startFauxqs } from "fauxqs";

/** SQS and S3 in memory, in this process. */
export async function startAws(): Promise<FauxqsServer> {
  return await startFauxqs({ port: 0, host: "127.0.0.1", logger: false });
}
