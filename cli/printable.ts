import type { Writable } from "node:stream";

/**
 * What a terminal acts on instead of showing it: control characters but the newline and the tab, and those that turn
 * the direction of writing, with which text can be made to look like other text.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const ACTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `text` with what a terminal would act on shown as an escape, e.g. `\x1b`. */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(ACTIVE, escaped);
}

/** As {@link printable}, in one line: a value must not look like further fields. */
export function printableLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

function escaped(char: string): string {
  const code = char.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
}

/**
 * `stream` as text may be written to it that others have had a part in: on a terminal it is {@link printable}, and
 * elsewhere as it is. Bytes are never changed: they are a function's own answer.
 */
export function guardTerminal<T extends Writable & { readonly isTTY?: boolean }>(stream: T): T {
  if (!stream.isTTY) return stream;
  return new Proxy(stream, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      if (property !== "write") return value.bind(target) as unknown;
      return (chunk: unknown, ...rest: unknown[]) =>
        (target.write as (...args: unknown[]) => boolean)(
          typeof chunk === "string" ? printable(chunk) : chunk,
          ...rest,
        );
    },
  });
}
