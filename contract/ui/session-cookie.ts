/** Name of the cookie of the dashboard's sessions; with TLS `__Host-` is before it. */
export const SESSION_COOKIE = "fl_session";

/** Whether a `Cookie` header may have one of these. */
export function mentionsSession(cookie: string | undefined): cookie is string {
  return cookie?.includes(SESSION_COOKIE) ?? false;
}

/** The cookies of a header but those of sessions, which are nobody's but the gateway's; empty when there are no others. */
export function withoutSession(cookie: string): string {
  const isOther = (pair: string) => {
    const name = pair.slice(0, Math.max(0, pair.indexOf("="))).trim();
    return name !== SESSION_COOKIE && name !== `__Host-${SESSION_COOKIE}`;
  };
  return cookie
    .split(";")
    .filter(isOther)
    .map((pair) => pair.trim())
    .join("; ");
}

const CONFINED = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

/**
 * Gives what a function answers to a browser that has signed in an origin of its own: its pages can then neither read the dashboard's tab
 * nor call the platform with its cookie.
 * @param headers of the answer, by lower-case name
 */
export function confine(headers: Record<string, string | string[]>): void {
  headers["content-security-policy"] = [headers["content-security-policy"] ?? [], CONFINED].flat();
}
