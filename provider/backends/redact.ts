/** Shorter values are in any text by chance. */
const MIN_CHARS = 4;
/** Of a variable: `true` and `8080` say nothing even when their variable is named like a secret. */
const MIN_VARIABLE_CHARS = 6;

const BLANK = "***";

/**
 * `text` without what nobody should read: every one of `secrets`, as it is, line by line, and in the ways in which
 * programs write values (base64, URL and JSON escapes, hexadecimal), and the credentials of URLs and headers.
 */
export function redact(text: string, secrets: readonly string[]): string {
  const forms = new Set(secrets.flatMap((secret) => formsOf(secret, text.length)));
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  return withoutCredentials(longestFirst.reduce((left, form) => left.replaceAll(form, BLANK), text));
}

/** Values among a function's variables that are likely to be secret, by their names or by what they are. */
export function sensitiveValues(variables: Readonly<Record<string, string>>): string[] {
  return Object.entries(variables).flatMap(([name, value]) =>
    value.length >= MIN_VARIABLE_CHARS && (NAMES.test(name) || USER_INFO.test(value)) ? [value, ...partsOf(value)] : [],
  );
}

const NAMES = /pass|pwd|secret|token|key|cred|auth|private|dsn|connection|conn_?str|signature|salt|cookie|session/i;
const USER_INFO = /\/\/[^/?#\s@]{1,500}@/;

/** What a program may quote of a URL without the rest: its user and password. */
function partsOf(value: string): string[] {
  if (!USER_INFO.test(value) || !URL.canParse(value)) return [];
  const { username, password } = new URL(value);
  return [password, decoded(password), ...(password === "" ? [username] : [])];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The ways to write `secret` that fit into a text of `room` characters. */
function formsOf(secret: string, room: number): string[] {
  // A line of output holds one line of a secret at most, unless its ends are escaped.
  const lines = secret.split("\n").map((line) => line.trim());
  const parts = [secret, secret.trim(), ...lines].filter(({ length }) => length >= MIN_CHARS && length <= room);
  return [...new Set(parts)]
    .flatMap((part) => [part, ...escapedForms(part), ...encodedForms(part)])
    .filter(({ length }) => length >= MIN_CHARS && length <= room);
}

function escapedForms(part: string): string[] {
  const url = escapeUrl(part);
  const json = JSON.stringify(part).slice(1, -1);
  const lower = (text: string) => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
  return [url, lower(url), url.replaceAll("%20", "+"), json, JSON.stringify(json).slice(1, -1)];
}

function escapeUrl(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function encodedForms(part: string): string[] {
  const bytes = Buffer.from(part, "utf8");
  const base64 = [0, 1, 2].flatMap((before) => base64Within(bytes, before));
  const url = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  const hex = bytes.toString("hex");
  return [...base64, ...url, hex, hex.toUpperCase()];
}

/**
 * The base64 characters that depend on `bytes` alone where they stand in something longer, e.g. behind `user:`; first as
 * they are at its end, then with more behind.
 * @param before bytes in front of them, modulo 3
 */
function base64Within(bytes: Buffer, before: number): string[] {
  const whole = Buffer.concat([Buffer.alloc(before), bytes]);
  const from = Math.ceil((before * 8) / 6);
  const to = Math.floor((whole.length * 8) / 6);
  const text = whole.toString("base64");
  return [text.replace(/={1,2}$/, "").slice(from), text.slice(from, to)];
}

function withoutCredentials(text: string): string {
  return text
    .replace(/:\/\/[^/?#\s@"'`]{1,500}@/g, `://${BLANK}@`)
    .replace(/\b(bearer|basic)(\s{1,3})[a-z0-9+/=._~-]{6,4000}/gi, `$1$2${BLANK}`);
}
