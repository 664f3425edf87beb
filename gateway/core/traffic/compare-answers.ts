/** An answer, as far as it is compared with that of another version. */
export interface AnswerDigest {
  readonly status: number;
  /** Bytes of its body; undefined for one that was not read to its end, as it is too long. */
  readonly length: number | undefined;
  /** Of its body; undefined for one that is too long to be looked at. */
  readonly hash: string | undefined;
}

/** How the answer to a copied call was, beside that of the call itself; the first that differs. */
export const MIRROR_RESULTS = ["same", "status", "length", "body", "failed", "unknown", "dropped"] as const;
export type MirrorResult = (typeof MIRROR_RESULTS)[number];

/**
 * @param own undefined when the call itself did not get to the end of an answer: there is nothing to compare with
 * @param copy undefined when the version that got the copy gave no whole answer
 */
export function compareAnswers(own: AnswerDigest | undefined, copy: AnswerDigest | undefined): MirrorResult {
  if (!copy) return "failed";
  if (!own) return "unknown";
  if (own.status !== copy.status) return "status";
  if (copy.length === undefined) return own.hash === undefined ? "unknown" : "length";
  if (own.length !== copy.length) return "length";
  return own.hash === copy.hash ? "same" : "body";
}
