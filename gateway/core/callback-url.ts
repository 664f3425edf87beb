import { FaasError } from "../../contract/errors.ts";

const MAX_LENGTH = 8192;

/**
 * The value of `X-Callback-Url`: where the result of an asynchronous call is posted to.
 * @returns the URL as written; undefined when there is none
 * @throws {FaasError} `invalid` unless it is one absolute http or https URL; credentials never appear in the message
 */
export function parseCallbackUrl(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const text = typeof header === "string" ? header.trim() : "";
  if (text === "" && header === "") return undefined;
  // Node joins repeated headers with a comma and a blank; no URL has a blank in it.
  const whole = text.length <= MAX_LENGTH && !/\s/.test(text);
  const url = whole && URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new FaasError(
      "invalid",
      `X-Callback-Url: must be one absolute http or https URL of at most ${MAX_LENGTH} characters`,
    );
  }
  return text;
}

/** A callback's destination with the credentials taken out of the URL. */
export interface CallbackTarget {
  readonly url: URL;
  /** `Authorization` that carries the credentials; undefined when the URL had none. */
  readonly authorization?: string;
}

/** @throws {FaasError} `invalid`, as {@link parseCallbackUrl} */
export function splitCallbackUrl(text: string): CallbackTarget {
  const url = new URL(parseCallbackUrl(text) ?? fail());
  const { username, password } = url;
  if (username === "" && password === "") return { url };
  url.username = "";
  url.password = "";
  const pair = `${decode(username)}:${decode(password)}`;
  return { url, authorization: `Basic ${Buffer.from(pair, "utf8").toString("base64")}` };
}

function fail(): never {
  throw new FaasError("invalid", "X-Callback-Url: must not be empty");
}

/** A stray `%` stands for itself, as the user meant it. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
