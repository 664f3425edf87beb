import type { StreamConfig, StreamInfo } from "nats";
import { API_ERRORS, isApiError, JetStreamError, type Link } from "./connection.ts";

/** What a stream is made of; fields that the client does not know yet may be among them. */
export type NewStream = Pick<StreamConfig, "name" | "subjects" | "retention" | "discard"> & Partial<StreamConfig>;

/** Whether a server has refused to reserve as much. */
export function isShort(error: unknown): error is JetStreamError {
  if (isApiError(error, API_ERRORS.insufficientStorage, API_ERRORS.insufficientMemory)) return true;
  // A cluster says of its servers that none is suitable, and why.
  return error instanceof JetStreamError && /insufficient (storage|memory)/i.test(error.message);
}

/** The servers of a cluster elect a leader for each new stream before they answer. */
const MAKE_TIMEOUT_MS = 15_000;

/** What has come of a stream that is to be there. */
export interface EnsuredStream {
  /** Whether there was none before. */
  readonly isNew: boolean;
  /** Fields that could not be changed. */
  readonly fixed: readonly string[];
}

/**
 * Makes the stream, or changes one of an older configuration; what cannot be changed (its storage) stays as it is.
 * @throws {JetStreamError} when the server cannot have it
 */
export async function ensureStream(link: Link, config: NewStream): Promise<EnsuredStream> {
  const created = await create(link, config);
  if (created.kind === "made") return { isNew: created.isNew, fixed: [] };
  const { found } = created;
  const fixed = (["storage", "retention"] as const).filter((field) => found[field] !== config[field]);
  const wanted = Object.assign(
    { ...found, ...config },
    Object.fromEntries(fixed.map((field) => [field, found[field]])),
  );
  await link.api(`STREAM.UPDATE.${config.name}`, wanted, MAKE_TIMEOUT_MS);
  return { isNew: false, fixed };
}

type Created =
  | { readonly kind: "made"; readonly isNew: boolean }
  /** There is one already, with other settings. */
  | { readonly kind: "different"; readonly found: StreamConfig };

async function create(link: Link, config: NewStream): Promise<Created> {
  try {
    const request = link.api<StreamInfo & { did_create?: boolean }>(
      `STREAM.CREATE.${config.name}`,
      config,
      MAKE_TIMEOUT_MS,
    );
    return { kind: "made", isNew: (await request).did_create === true };
  } catch (error) {
    // A server without room for one more says so before it sees that it has the stream.
    if (!isApiError(error, API_ERRORS.streamNameInUse) && !isShort(error)) throw error;
    try {
      return { kind: "different", found: (await link.api<StreamInfo>(`STREAM.INFO.${config.name}`)).config };
    } catch (missing) {
      throw isApiError(missing, API_ERRORS.streamNotFound) ? error : missing;
    }
  }
}
