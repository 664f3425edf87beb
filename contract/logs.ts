import { z } from "zod";
import { decode } from "./decode.ts";

const logMessage = z.object({
  name: z.string(),
  namespace: z.string(),
  instance: z.string(),
  timestamp: z.string(),
  text: z.string(),
});
/** One line of a function's output. `timestamp` is RFC 3339; `text` keeps its trailing newline. */
export type LogMessage = z.output<typeof logMessage>;

/** @throws {FaasError} `invalid` */
export function decodeLogMessage(value: unknown): LogMessage {
  return decode(logMessage, value, "log message");
}

/** What `GET /system/logs` asks for, already parsed. */
export interface LogQuery {
  readonly name: string;
  readonly namespace: string;
  /** Only this replica. */
  readonly instance?: string;
  /** Only lines written at or after this moment. */
  readonly since?: Date;
  /** Only the last so many lines of each replica; absent means all that are kept. */
  readonly tail?: number;
  /** Go on with new lines until the reader leaves. */
  readonly follow: boolean;
}
