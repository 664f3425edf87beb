import type { IncomingHttpHeaders } from "node:http";

/** Of statuses that mean the same whatever the gateway says of them. */
const ALWAYS: Readonly<Record<number, string>> = {
  403: "`faaslane login` stores credentials that may do this",
  429: "it has too much to do: try again later",
  503: "`faaslane ready` waits until the gateway is ready",
};
/** Of statuses that come without a word. */
const UNSAID: Readonly<Record<number, string>> = {
  404: "is there a gateway at this URL? `faaslane version` asks it",
  409: "there is one already, or somebody else is changing it: look at it and try again",
  413: "what was sent is larger than the gateway, or a proxy before it, takes",
  500: "the gateway's log tells why",
  502: "what is before the gateway cannot reach it, or it cannot reach its provider",
  504: "it may still be done: look before you try again",
};

/** What to do about a failure that a gateway, or who answers in its place, has told; undefined where its own words have to do. */
export function nextStep(status: number, text: string, headers: IncomingHttpHeaders): string | undefined {
  if (status >= 300 && status < 400) {
    return headers.location
      ? `the gateway is elsewhere, perhaps at ${headers.location}: name it with --gateway`
      : undefined;
  }
  const after = headers["retry-after"];
  if (status === 429 && after && /^\d{1,6}$/.test(after)) return `try again in ${after} s`;
  return ALWAYS[status] ?? (text.trim() === "" ? UNSAID[status] : undefined);
}
