const UNITS = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

/**
 * Bytes of a size such as `100kb`, `1.5mb` or `2048`.
 * @throws {Error} naming the variable
 */
function parseSize(name, text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?) *(b|kb|mb|gb)?$/i.exec(text.trim()) ?? [];
  if (number === undefined) throw new Error(`${name}: "${text}" is not a size such as 100kb, 1.5mb or 2048`);
  return Math.floor(Number(number) * UNITS[(unit ?? "b").toLowerCase()]);
}

/** What a broker takes as one event, and what its text adds to it as JSON. */
const EVENT_SIZE = "2mb";

/**
 * What the environment decides. Limits are `{ name, bytes, eventBytes }`, so that a refusal can say which variable to raise;
 * `eventBytes` is for requests that carry an event.
 * @throws {Error} naming the bad variable
 */
export function readSettings(env) {
  const limit = (name, size = "100kb") => ({
    name,
    bytes: parseSize(name, env[name] || size),
    eventBytes: parseSize(name, env[name] || EVENT_SIZE),
  });
  return {
    secretsDir: env.FAASLANE_SECRETS_DIR || "/var/openfaas/secrets",
    // Functions that get all of a request as text were never told of a limit.
    textContract: limit("MAX_TEXT_SIZE", "16mb"),
    body: {
      raw: env.RAW_BODY === "true",
      limits: { json: limit("MAX_JSON_SIZE"), text: limit("MAX_TEXT_SIZE"), raw: limit("MAX_RAW_SIZE") },
    },
  };
}
