/**
 * Header of a deploy's answer that says what does not hold although it was accepted, one line each. Kubernetes' API warns
 * in the same way; clients that do not know it are not disturbed.
 * @see RFC 7234 §5.5
 */
export const WARNING_HEADER = "warning";

/** "Miscellaneous persistent warning", said by nobody in particular. */
const PREFIX = "299 -";
const MAX_WARNINGS = 20;
const MAX_CHARS = 500;

/** Values of the header for sentences; what a header cannot hold becomes `?`. */
export function encodeWarnings(sentences: readonly string[]): string[] {
  return sentences.slice(0, MAX_WARNINGS).map((sentence) => {
    return `${PREFIX} "${printable(sentence).replace(/["\\]/g, "\\$&")}"`;
  });
}

/** The sentences of a header, which Node gives as one text however many lines it had; other warnings are left out. */
export function decodeWarnings(header: string | undefined): string[] {
  const quoted = (header ?? "").matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g);
  const unquote = (text: string) => printable(text.replace(/\\(.)/g, "$1"));
  return [...quoted].slice(0, MAX_WARNINGS).map(([, text = ""]) => unquote(text));
}

/** Neither end trusts the other with a terminal. */
function printable(text: string): string {
  return text.slice(0, MAX_CHARS).replace(/[^\x20-\x7e]/g, "?");
}
