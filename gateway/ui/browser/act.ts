/** What the page sends to change something. */
export interface ActRequest {
  readonly method: "POST" | "PUT" | "DELETE";
  /** With its query; what is in it is escaped. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** Something that the page can do: what it means, and how to do it without the page. */
export interface Act {
  readonly title: string;
  /** Word on the button that does it. */
  readonly action: string;
  /** It cannot be undone. */
  readonly isDangerous?: boolean;
  /** What happens, and what does not. */
  readonly effect: string;
  /** As `faaslane …`. */
  readonly cli: string;
  readonly request: ActRequest;
}

const PLAIN = /^[\w@%+=:,./*-]+$/;

/** A word as a shell takes it. */
export function quote(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line: words that are absent are left out, others quoted where a shell wants it. */
export function command(...words: readonly (string | undefined)[]): string {
  return words
    .filter((word) => word !== undefined)
    .map(quote)
    .join(" ");
}

/** An option with its value, where there is one. */
export function option(name: string, value: string | undefined): readonly string[] {
  return value === undefined || value === "" ? [] : [name, value];
}

/** The request as `curl …`. @param path escaped, so that nothing in it means anything to a shell within `"` */
export function curlOf({ method, path, body }: { method?: string; path: string; body?: unknown }): string {
  const how = method === undefined || method === "GET" ? "" : ` -X ${method}`;
  const sent = body === undefined ? "" : ` -H 'Content-Type: application/json' -d ${quote(JSON.stringify(body))}`;
  return `curl -u admin:$PASSWORD${how} "$GATEWAY${path}"${sent}`;
}

/** A path with its query; parameters without a value are left out. */
export function withQuery(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given as [string, string][]).toString();
  return text === "" ? path : `${path}?${text}`;
}
