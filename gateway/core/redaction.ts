/** Stands for what is kept back. */
const HIDDEN = "[redacted]";

/** In names of headers and parameters whose values are credentials. */
const SECRET_NAME =
  /auth(?!ors?$)|cookie|token|secret|passw|passphrase|credential|session|signature|jwt|(^|[-_.])(pwd|pass|sig|pin|otp|code|key)$|(api|access|private|shared|client|account)[-_.]?key/i;
/** `Basic …`, in whatever header. @see RFC 9110 §11.4 */
const SECRET_VALUE = /^\s*(basic|bearer|digest|negotiate|apikey|hmac|aws4-[\w-]+)\s/i;
/** User and password of a URL. Like the others it takes time in proportion to the text, which may be long. */
const USER_INFO = /([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#]*@/gi;
const PARAMETER = /(^|[?&;#])([^=&;?#\s]+)=([^&;#\s]*)/g;
/** @see RFC 7519 §3 */
const WEB_TOKEN = /(?<![\w-])eyJ[\w-]+\.[\w-]+(\.[\w-]*)*/g;

interface Shown {
  readonly path: string;
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly callbackUrl?: string;
}

/**
 * A request as it may be shown to people who look after the platform: without what its caller, or the receiver of its
 * callback, is known by. Names tell what that is, so that a secret under a harmless name stays.
 */
export function redactRequest<T extends Shown>(request: T): T {
  const { path, query, headers, callbackUrl } = request;
  return {
    ...request,
    path: withoutSecrets(path),
    query: withoutSecrets(query),
    headers: headers.map(([name, value]) => [name, redactHeader(name, value)] as const),
    ...(callbackUrl !== undefined && { callbackUrl: redactCallback(callbackUrl) }),
  };
}

function redactHeader(name: string, value: string): string {
  if (name.toLowerCase() === "x-callback-url") return redactCallback(value);
  return SECRET_NAME.test(name) || SECRET_VALUE.test(value) ? HIDDEN : withoutSecrets(value);
}

/** Of a callback every parameter is for its receiver alone. */
function redactCallback(url: string): string {
  return url
    .replace(USER_INFO, `$1${HIDDEN}@`)
    .replace(PARAMETER, (_all, before: string, name: string) => `${before}${name}=${HIDDEN}`)
    .replace(WEB_TOKEN, HIDDEN);
}

function withoutSecrets(text: string): string {
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
