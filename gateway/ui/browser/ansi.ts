/** Sequences by which programs colour terminals, and characters that would change what is read around them. */
const SEQUENCES = new RegExp(
  [
    String.raw`\u001b\[[0-?]*[ -/]*[@-~]`,
    String.raw`\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?`,
    String.raw`\u001b[@-_]`,
    String.raw`[\u0000-\u0008\u000b-\u001f\u007f-\u009f]`,
  ].join("|"),
  "g",
);
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g;

export const MAX_LINE_CHARS = 10_000;

/** A line of output as it can be shown: plain text of bounded length, in the order of its characters. */
export function plainLine(text: string): string {
  const cut = text.length > MAX_LINE_CHARS ? `${text.slice(0, MAX_LINE_CHARS)}… (${text.length} characters)` : text;
  return cut
    .replace(/\r?\n$/, "")
    .replace(SEQUENCES, "")
    .replace(DIRECTIONS, "�");
}
