/** Name of the cookie of the dashboard's sessions; with TLS `__Host-` is before it. */
export const SESSION_COOKIE = "fl_session";

/**
 * Name of one beside it that says no more than that there is a session. Browsers send it with links of other sites too, where the
 * session's own does not come.
 */
export const NEAR_COOKIE = "fl_session_near";

const NAMES: ReadonlySet<string> = new Set([SESSION_COOKIE, NEAR_COOKIE].flatMap((name) => [name, `__Host-${name}`]));

/** Whether a `Cookie` header may have one of these. */
export function mentionsSession(cookie: string | undefined): cookie is string {
  return cookie?.includes(SESSION_COOKIE) ?? false;
}

/** The cookies of a header but those of sessions, which are nobody's but the gateway's; empty when there are no others. */
export function withoutSession(cookie: string): string {
  const isOther = (pair: string) => !NAMES.has(pair.slice(0, Math.max(0, pair.indexOf("="))).trim());
  return cookie
    .split(";")
    .filter(isOther)
    .map((pair) => pair.trim())
    .join("; ");
}

const CONFINED = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

/**
 * Keeps a function from the session of who looks at its answer: it cannot set its cookies. Where there is one, a page is given an origin
 * of its own, and can then neither read the dashboard's tab nor call the platform with its cookie.
 * @param headers of the answer, by lower-case name
 * @param hasSession whether the browser has signed in, as far as can be told
 */
export function keepSessionApart(headers: Record<string, string | string[]>, hasSession: boolean): void {
  if (hasSession) headers["content-security-policy"] = [headers["content-security-policy"] ?? [], CONFINED].flat();
  const { "set-cookie": cookies } = headers;
  if (cookies === undefined) return;
  const kept = [cookies].flat().filter((cookie) => !NAMES.has((cookie.split(/[=;]/, 1)[0] ?? "").trim()));
  if (kept.length > 0) headers["set-cookie"] = kept;
  else delete headers["set-cookie"];
}
