/**
 * Characters that are not seen themselves: control characters but for tabs and ends of lines, those that turn around or join what is read
 * beside them, and those that only make two texts look the same.
 */
const HIDDEN = new RegExp(
  [
    String.raw`[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]`,
    String.raw`[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]`,
    String.raw`[\u{e0000}-\u{e007f}]`,
  ].join("|"),
  "gu",
);
const SIGNS = 0x2400;
const DELETE = 0x7f;

/** Text with its hidden characters made signs that can be seen: `␛`, `⟨U+202E⟩`. */
export function showHidden(text: string): string {
  return text.replace(HIDDEN, signOf);
}

function signOf(char: string): string {
  const code = char.codePointAt(0) as number;
  if (code < 0x20) return String.fromCodePoint(SIGNS + code);
  if (code === DELETE) return "␡";
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
