/** `text` without the `char`s that end it, in one look from behind; a regular expression would begin at each of them. */
export function stripEnd(text: string, char: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === char) end -= 1;
  return text.slice(0, end);
}
