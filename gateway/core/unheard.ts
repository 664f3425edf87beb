/** Headers of an answer, by lower-case name. */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What a kernel takes to refuse a connection, and more than it: a server that breaks off has taken longer. */
const AT_ONCE_SECONDS = 0.05;
/** How long after it is offered a replica may be one whose server does not listen yet. */
const FIRST_MS = 10_000;

/**
 * Whether an answer says that a call never reached the function: OpenFaaS's of-watchdog is well before the server behind
 * it listens, and answers for it, with nothing, when that refuses the connection.
 * @param ageMs since the replica was offered
 */
export function isUnheard(status: number, headers: Headers, ageMs: number): boolean {
  return (
    status === 500 &&
    ageMs < FIRST_MS &&
    headers["x-openfaas-internal"] === "of-watchdog" &&
    headers["content-length"] === "0" &&
    Number(headers["x-duration-seconds"]) < AT_ONCE_SECONDS
  );
}
