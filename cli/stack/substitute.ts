import { applyOperator, type SubstitutionOperator } from "./substitute-operators.ts";

/** A `${…}` that cannot be understood. Positions count from 1 and are those of its `$`. */
export class SubstitutionError extends Error {
  override readonly name = "SubstitutionError";
  readonly line: number;
  readonly column: number;
  constructor(why: string, text: string, offset: number, options?: ErrorOptions) {
    super(why, options);
    const before = text.slice(0, offset).split("\n");
    this.line = before.length;
    this.column = (before.at(-1) as string).length + 1;
  }
}

/** Deeper nesting than anybody writes; it keeps a hostile file from exhausting the call stack. */
const MAX_DEPTH = 64;
/** Characters that all expressions together may come to. */
const MAX_EXPANDED_CHARS = 4 * 1024 ** 2;

const NAME = /[\p{L}\p{Nd}_]+/uy;

/**
 * Replaces every `${…}` of `text` with the variable it names; unset ones are empty. Knows the operators that stack
 * files may use: defaults, length, case, substring, trimming and replacing. `$NAME` stays as it is, `$$` gives `$`,
 * and `\\` and `\/` lose their first character.
 * @throws {SubstitutionError}
 */
export function substitute(text: string, lookup: (name: string) => string | undefined): string {
  return new Expansion(text, lookup).run();
}

class Expansion {
  readonly #text: string;
  readonly #lookup: (name: string) => string | undefined;
  #pos = 0;
  #expanded = 0;

  constructor(text: string, lookup: (name: string) => string | undefined) {
    this.#text = text;
    this.#lookup = lookup;
  }

  run(): string {
    return this.#pieces("", true, 0);
  }

  /**
   * Text and nested expressions up to one of `stops`, which stays unread, or the end of the text.
   * @param escapes whether `$$`, `\\` and `\/` mean something here; in defaults they do not
   */
  #pieces(stops: string, escapes: boolean, depth: number): string {
    const pieces: string[] = [];
    const special = new RegExp(`[$\\\\${stops}]`, "g");
    while (this.#pos < this.#text.length) {
      special.lastIndex = this.#pos;
      const at = special.exec(this.#text)?.index ?? this.#text.length;
      pieces.push(this.#text.slice(this.#pos, at));
      this.#pos = at;
      const [char, next] = [this.#text[at], this.#text[at + 1]];
      if (char === undefined) break;
      if (char === "$" && next === "{") {
        pieces.push(this.#expression(depth + 1));
      } else if (escapes && ((char === "$" && next === "$") || (char === "\\" && (next === "\\" || next === "/")))) {
        pieces.push(next);
        this.#pos += 2;
      } else if (stops.includes(char)) {
        break;
      } else {
        pieces.push(char);
        this.#pos += 1;
      }
    }
    return pieces.join("");
  }

  /** One expression, from its `${` past its `}`. */
  #expression(depth: number): string {
    const start = this.#pos;
    const fail = (why: string, cause?: unknown): never => {
      const end = this.#text.indexOf("\n", start);
      const line = this.#text.slice(start, end === -1 ? undefined : end);
      const shown = line.length > 40 ? `${line.slice(0, 40)}…` : line;
      throw new SubstitutionError(`bad substitution: ${shown}: ${why}`, this.#text, start, { cause });
    };
    if (depth > MAX_DEPTH) fail(`nested deeper than ${MAX_DEPTH}`);
    this.#pos += 2;
    const wantsLength = this.#take("#") !== "";
    const name = this.#name();
    if (name === "") fail("a variable name must follow the brace");
    const value = this.#lookup(name) ?? "";

    let result = value;
    if (wantsLength) {
      result = String([...value].length);
    } else if (this.#text[this.#pos] !== "}") {
      const operator = this.#operator() ?? fail("unknown operator, or no closing brace");
      const args = this.#operands(operator, depth);
      try {
        result = applyOperator(operator, value, args);
      } catch (cause) {
        fail((cause as Error).message, cause);
      }
    }
    if (this.#take("}") === "") fail("no closing brace");
    this.#expanded += result.length;
    if (this.#expanded > MAX_EXPANDED_CHARS) fail("the text becomes too long");
    return result;
  }

  #name(): string {
    NAME.lastIndex = this.#pos;
    const name = NAME.exec(this.#text)?.[0] ?? "";
    this.#pos += name.length;
    return name;
  }

  #take(token: string): string {
    if (!this.#text.startsWith(token, this.#pos)) return "";
    this.#pos += token.length;
    return token;
  }

  #operator(): SubstitutionOperator | undefined {
    if (/^:[=\-?+]/.test(this.#text.slice(this.#pos, this.#pos + 2))) {
      this.#pos += 2;
      return "default";
    }
    if (this.#take("=")) return "default";
    if (this.#take(":")) return "substring";
    // The longer spelling of each pair comes first.
    return (["^^", "^", ",,", ",", "##", "#", "%%", "%", "//", "/#", "/%", "/"] as const).find(
      (operator) => this.#take(operator) !== "",
    );
  }

  #operands(operator: SubstitutionOperator, depth: number): string[] {
    switch (operator) {
      case "default":
      case "#":
      case "##":
      case "%":
      case "%%":
        return [this.#pieces("}", false, depth)];
      case "substring": {
        const position = this.#pieces(":}", false, depth);
        return this.#take(":") ? [position, this.#pieces("}", false, depth)] : [position];
      }
      case "/":
      case "//":
      case "/#":
      case "/%": {
        const pattern = this.#pieces("/}", true, depth);
        return this.#take("/") ? [pattern, this.#pieces("}", true, depth)] : [pattern];
      }
      default:
        return [];
    }
  }
}
