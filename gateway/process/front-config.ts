import { parseTrustedProxies } from "../../http/client-address.ts";
import type { CertificatePair } from "../../kit/certificates.ts";
import type { EnvReader } from "../../kit/env.ts";
import { parseBoolean } from "../../kit/parse.ts";

/** Who connects, and how, before anything is asked. */
export interface FrontConfig {
  /** Proxies that are believed for whom they ask; see `TrustedProxies`. */
  readonly trustedProxies: readonly string[];
  /** Whether the trusted ones begin each connection with a PROXY header. */
  readonly proxyProtocol: boolean;
  /** What TLS is spoken with, the first for clients that name no host of the others; none for plain HTTP. */
  readonly certificates: readonly CertificatePair[];
}

export function readFrontConfig(read: EnvReader): FrontConfig {
  const trustedProxies = read.optional("trusted_proxies", parseTrustedProxies) ?? [];
  const proxyProtocol = read.optional("proxy_protocol", (text) => {
    const on = parseBoolean(text);
    if (on && trustedProxies.length === 0) throw new Error("must be false unless trusted_proxies says whose it is");
    return on;
  });
  return { trustedProxies, proxyProtocol: proxyProtocol ?? false, certificates: readCertificates(read) };
}

/** Two lists of the same length: neither variable goes without the other. */
function readCertificates(read: EnvReader): CertificatePair[] {
  let named = 0;
  const certFiles = read.optional("tls_cert_file", (text) => {
    const files = parseFiles(text);
    named = files.length;
    return files;
  });
  const parseKeys = (text: string) => {
    const files = parseFiles(text);
    if (named > 0 && files.length !== named) throw new Error("must name as many files as tls_cert_file");
    return files;
  };
  const keyFiles = certFiles ? read.required("tls_key_file", parseKeys) : read.optional("tls_key_file", parseKeys);
  if (keyFiles && !certFiles && named === 0) read.required("tls_cert_file", parseFiles);
  return (certFiles ?? []).map((certFile, i) => ({ certFile, keyFile: keyFiles?.[i] ?? "" }));
}

function parseFiles(text: string): string[] {
  const files = text.split(",").map((file) => file.trim());
  if (files.includes("")) throw new Error("must be a file, or several with commas between them");
  return files;
}
