import { FaasError } from "../../contract/errors.ts";

export type Token =
  | { readonly kind: "integer" | "string" | "name" | "symbol"; readonly text: string; readonly at: number }
  | { readonly kind: "end"; readonly text: ""; readonly at: number };

const SYMBOLS = ["<=", ">=", "<>", "!=", "(", ")", ",", "*", "/", "%", "+", "-", "=", "<", ">"];
const SPACE = /[ \t\r\n]*/y;
const WORD = /[A-Za-z0-9_]+/y;
const DIGITS = /^\d+$/;

/** @throws {FaasError} `invalid`, with the place */
export function syntaxError(at: number, why: string): FaasError {
  return new FaasError("invalid", `CESQL at character ${at + 1}: ${why}`);
}

/** Takes an expression apart. @throws {FaasError} `invalid` */
export function readTokens(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    at = SPACE.lastIndex;
    const first = text[at];
    if (first === undefined) return [...tokens, { kind: "end", text: "", at }];
    if (first === "'" || first === '"') {
      const { value, end } = readString(text, at, first);
      tokens.push({ kind: "string", text: value, at });
      at = end;
      continue;
    }
    WORD.lastIndex = at;
    const word = WORD.exec(text)?.[0];
    const token = word ?? SYMBOLS.find((symbol) => text.startsWith(symbol, at));
    if (token === undefined) throw syntaxError(at, `${JSON.stringify(first)} is not expected`);
    const kind = word === undefined ? "symbol" : DIGITS.test(word) ? "integer" : "name";
    tokens.push({ kind, text: token, at });
    at += token.length;
  }
}

/** Of what is escaped, only the quote that delimits the text loses its backslash; patterns need the others. */
function readString(text: string, start: number, quote: string): { value: string; end: number } {
  let value = "";
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at] as string;
    if (char === quote) return { value, end: at + 1 };
    if (char === "\\" && text[at + 1] !== undefined) {
      at++;
      value += text[at] === quote ? quote : `\\${text[at]}`;
    } else value += char;
  }
  throw syntaxError(start, "a text has no end");
}
