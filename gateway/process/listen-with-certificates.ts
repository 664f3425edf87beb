import { type CertificatePair, Certificates } from "../../kit/certificates.ts";
import type { Logger } from "../../kit/log.ts";
import type { DrainingServer } from "../../kit/server.ts";

/**
 * Opens a server with certificates, which are followed until it drains; with none where no pair is given.
 * @throws {StartError} when a certificate cannot be used; what `open` throws
 */
export async function listenWithCertificates(
  pairs: readonly CertificatePair[],
  log: Logger,
  open: (certificates: Certificates | undefined) => Promise<DrainingServer>,
): Promise<DrainingServer> {
  const certificates = pairs.length > 0 ? await Certificates.open(pairs, { log }) : undefined;
  try {
    const server = await open(certificates);
    return {
      ...server,
      drain: async (timeoutMs) => {
        certificates?.close();
        await server.drain(timeoutMs);
      },
    };
  } catch (error) {
    certificates?.close();
    throw error;
  }
}
