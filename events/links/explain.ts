import { clip } from "../../contract/clip.ts";
import { FaasError } from "../../contract/errors.ts";
import type { SecretTexts } from "./secret-texts.ts";

const MAX_CHARS = 400;
const MAX_DEPTH = 5;
/** What clients say of every failure, and what says nothing. */
const EMPTY = /^(|error|unknown error|aggregateerror)$/i;

/** What went wrong, in the words of a client and of what caused it. */
export function explainFailure(thrown: unknown): string {
  const said: string[] = [];
  collect(thrown, said, 0);
  return clip([...new Set(said)].join(": ") || "unknown failure", MAX_CHARS);
}

function collect(thrown: unknown, said: string[], depth: number): void {
  if (depth > MAX_DEPTH || said.length > MAX_DEPTH) return;
  if (!(thrown instanceof Error)) {
    if (thrown !== undefined && thrown !== null) said.push(String(thrown));
    return;
  }
  const { code } = thrown as { code?: unknown };
  const message = thrown.message.replace(/\s+/g, " ").trim();
  // Connections that all were refused have codes and no messages.
  said.push(EMPTY.test(message) && typeof code === "string" ? code : message);
  if (EMPTY.test(said.at(-1) as string)) said.pop();
  // The one that was tried last tells as much as all of them.
  if (thrown instanceof AggregateError) collect(thrown.errors.at(-1), said, depth + 1);
  else collect(thrown.cause, said, depth + 1);
}

/**
 * The failure of a connection, fit to be told: with its server, without secrets.
 * @param server e.g. `Kafka at 127.0.0.1:9092`
 */
export function linkFailure(server: string, thrown: unknown, secrets: SecretTexts): FaasError {
  // Ours says what it means already.
  if (thrown instanceof FaasError) return thrown;
  return new FaasError("unavailable", secrets.redact(`${server}: ${explainFailure(thrown)}`));
}
