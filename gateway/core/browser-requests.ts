import type { IncomingHttpHeaders } from "node:http";

interface Asked {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Whether a browser asks for the script of a service worker, which would answer in our place from then on.
 * @see https://w3c.github.io/ServiceWorker/#service-worker-script-request
 */
export function isWorkerScript({ headers }: Asked): boolean {
  return headers["service-worker"] !== undefined;
}

/**
 * Whether a browser shows what is answered to a form of another site. It sends no cookie then that is for our own site alone, so its
 * session cannot be seen.
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function isFormOfOtherSite({ method, headers }: Asked): boolean {
  return headers["sec-fetch-site"] === "cross-site" && headers["sec-fetch-mode"] === "navigate" && method !== "GET";
}
