/** What a registry answers in place of what was asked for. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly status: number;
  /** Of the distribution specification, such as `MANIFEST_UNKNOWN`; absent when the registry does not say. */
  readonly code: string | undefined;

  constructor(message: string, status: number, code?: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** What of a registry's own text is passed on. */
const MAX_TEXT = 300;

/**
 * Reads the answer of a registry that has refused something.
 * @param what was asked of whom, such as `registry.example: cannot push image`
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */
export function registryErrorOf(what: string, status: number, body: string): RegistryError {
  const { code, message } = firstError(body);
  const said = [code, message].filter(Boolean).join(": ");
  const why = said === "" ? `status ${status}` : `${clean(said)} (status ${status})`;
  return new RegistryError(`${what}: ${why}${hintFor(status)}`, status, code);
}

function hintFor(status: number): string {
  if (status === 401) return "; log in with docker login, or give it a login in ~/.docker/config.json";
  if (status === 403) return "; this login may not do so";
  if (status === 429) return "; it limits how often it is asked: log in, or wait";
  return "";
}

function firstError(body: string): { code: string | undefined; message: string | undefined } {
  try {
    const [first] = (JSON.parse(body) as { errors?: { code?: unknown; message?: unknown }[] }).errors ?? [];
    const text = (value: unknown) => (typeof value === "string" ? value : undefined);
    return { code: text(first?.code), message: text(first?.message) };
  } catch {
    return { code: undefined, message: undefined };
  }
}

function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").slice(0, MAX_TEXT);
}
