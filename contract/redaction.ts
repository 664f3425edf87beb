/** Stands for what is kept back. */
export const HIDDEN = "[redacted]";

/** In names of headers, parameters and fields whose values are credentials. */
const SECRET_NAME =
  /auth(?!ors?$)|cookie|token|secret|passw|passphrase|credential|session|signature|jwt|(^|[-_.])(pwd|pass|sig|pin|otp|code|key)$|(api|access|private|shared|client|account)[-_.]?key/i;
/** `Basic …`, in whatever header. @see RFC 9110 §11.4 */
const SECRET_VALUE = /^\s*(basic|bearer|digest|negotiate|apikey|hmac|aws4-[\w-]+)\s/i;
/** User and password of a URL. Like the others it takes time in proportion to the text, which may be long. */
const USER_INFO = /([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#]*@/gi;
const PARAMETER = /(^|[?&;#])([^=&;?#\s]+)=([^&;#\s]*)/g;
/** @see RFC 7519 §3 */
const WEB_TOKEN = /(?<![\w-])eyJ[\w-]+\.[\w-]+(\.[\w-]*)*/g;

/** Whether what has that name is a credential. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/** A header's value, or a field's, as it may be shown. */
export function redactValue(name: string, value: string): string {
  if (name.toLowerCase() === "x-callback-url") return redactCallback(value);
  return SECRET_NAME.test(name) || SECRET_VALUE.test(value) ? HIDDEN : redactText(value);
}

/** Of a callback every parameter is for its receiver alone. */
export function redactCallback(url: string): string {
  return url
    .replace(USER_INFO, `$1${HIDDEN}@`)
    .replace(PARAMETER, (_all, before: string, name: string) => `${before}${name}=${HIDDEN}`)
    .replace(WEB_TOKEN, HIDDEN);
}

/** Text without what URLs and web tokens in it give away. */
export function redactText(text: string): string {
  return text
    .replace(USER_INFO, `$1${HIDDEN}@`)
    .replace(PARAMETER, (all, before: string, name: string) =>
      SECRET_NAME.test(decoded(name)) ? `${before}${name}=${HIDDEN}` : all,
    )
    .replace(WEB_TOKEN, HIDDEN);
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
