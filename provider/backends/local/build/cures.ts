/** Faults of an install step that lie in its environment, by what package managers print, and what mends them. */
const CURES: readonly { readonly sign: RegExp; readonly cure: string }[] = [
  {
    sign: /CERT_UNTRUSTED|CERT_HAS_EXPIRED|SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY_LEAF_SIGNATURE)|CERTIFICATE_VERIFY_FAILED|certificate verify failed|self[- ]signed certificate|unable to (?:get local issuer|verify the first) certificate|certificate signed by unknown authority|SSL certificate problem/i,
    cure:
      "a certificate on the way to the registry is not trusted: name the file of the authority that signed it in " +
      "NODE_EXTRA_CA_CERTS (npm), PIP_CERT (pip) or SSL_CERT_FILE, in the environment that faaslane is started with or by --build-arg",
  },
  {
    sign: /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b|Temporary failure in name resolution|Name or service not known|Could not resolve host|Network is unreachable|ProxyError|ConnectTimeoutError|407 Proxy Authentication/i,
    cure:
      "the registry cannot be reached: name the way out in http_proxy and https_proxy, or another registry in npm_config_registry or " +
      "PIP_INDEX_URL, in the environment that faaslane is started with or by --build-arg; .npmrc or pip.conf beside the handler does as well",
  },
];

/** What mends the fault that a line of output tells of; undefined for all other lines. */
export function cureFor(line: string): string | undefined {
  return CURES.find(({ sign }) => sign.test(line))?.cure;
}
