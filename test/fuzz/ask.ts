/** As `fetch`, on a connection of its own: one that was kept would look like one that the platform has forgotten. */
export function ask(url: string, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { ...init, headers: { ...init.headers, connection: "close" } });
}
