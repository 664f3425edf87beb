export interface ProviderAddress {
  readonly origin: string;
  /** What comes before all paths, without a slash at its end. */
  readonly basePath: string;
  /** For a pool of connections. */
  readonly dial: { readonly socketPath?: string };
}

/** @param url http, https, or `unix:` and the path of a socket */
export function addressOf(url: URL): ProviderAddress {
  if (url.protocol !== "unix:") return { origin: url.origin, basePath: url.pathname.replace(/\/$/, ""), dial: {} };
  return { origin: "http://localhost", basePath: "", dial: { socketPath: decodeURIComponent(url.pathname) } };
}
