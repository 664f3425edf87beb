import { FaasError } from "../../contract/errors.ts";
import { findFunction } from "./functions.ts";
import { binary, type Evaluate, isIn, like, logic, negate, not } from "./operators.ts";
import { readTokens, syntaxError, type Token } from "./tokens.ts";
import { cast, done, failed, isInteger, type SqlResult, type SqlValue, ZERO } from "./values.ts";

/** A compiled CESQL expression. */
export interface Expression {
  /** Never throws: what goes wrong is in the result. @param attributes of an event, extensions included */
  evaluate(attributes: Readonly<Record<string, SqlValue>>): SqlResult;
}

/** Longest expression, in characters, and deepest nesting. */
const MAX_CHARS = 8192;
const MAX_DEPTH = 100;

/** Who binds how tightly; more is tighter. */
const LOGIC = 1;
const COMPARISON = 2;
const SUM = 3;
const PRODUCT = 4;
const MEMBERSHIP = 5;
const LIKENESS = 6;
const PREFIX = 7;

const BINDING: Readonly<Record<string, number>> = {
  AND: LOGIC,
  OR: LOGIC,
  XOR: LOGIC,
  ...Object.fromEntries(["=", "!=", "<>", "<", "<=", ">", ">="].map((symbol) => [symbol, COMPARISON])),
  "+": SUM,
  "-": SUM,
  "*": PRODUCT,
  "/": PRODUCT,
  "%": PRODUCT,
  IN: MEMBERSHIP,
  LIKE: LIKENESS,
};
const KEYWORDS = new Set(["AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"]);
/** Names of attributes have small letters; the public test kit and others take them in any. */
const ATTRIBUTE = /^[a-z0-9]+$/i;
const FUNCTION = /^[A-Za-z][A-Za-z_]*$/;
/** Every event has them. */
const REQUIRED = new Set(["id", "source", "specversion", "type"]);

/**
 * Compiles an expression of the CloudEvents SQL Expression Language 1.0.
 * @throws {FaasError} `invalid` with the place where it goes wrong
 */
export function compileExpression(text: string): Expression {
  if (text.length > MAX_CHARS) throw new FaasError("invalid", `CESQL: must have at most ${MAX_CHARS} characters`);
  return { evaluate: new Parser(readTokens(text)).parse() };
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Evaluate {
    const whole = this.#expression(0);
    if (this.#next.kind !== "end") throw this.#unexpected();
    return whole;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  /** The next token if it is that symbol or keyword. */
  #take(word: string): boolean {
    if (wordOf(this.#next) !== word) return false;
    this.#at++;
    return true;
  }

  #expect(word: string): void {
    if (!this.#take(word)) throw this.#unexpected(`"${word}"`);
  }

  #unexpected(wanted?: string): FaasError {
    const { kind, text, at } = this.#next;
    const found = kind === "end" ? "the expression ends" : `${JSON.stringify(text)} is not expected`;
    return syntaxError(at, wanted ? `${found}; ${wanted} is` : found);
  }

  /** Everything that binds more tightly than `least`. */
  #expression(least: number): Evaluate {
    if (++this.#depth > MAX_DEPTH) throw syntaxError(this.#next.at, `nested more than ${MAX_DEPTH} levels deep`);
    let left = this.#operand();
    for (;;) {
      const negated = this.#isNegated();
      const word = wordOf(this.#tokens[this.#at + (negated ? 1 : 0)] as Token);
      const binding = word === undefined ? undefined : BINDING[word];
      if (word === undefined || binding === undefined || binding <= least) break;
      this.#at += negated ? 2 : 1;
      if (word === "LIKE") left = like(left, this.#pattern(), negated);
      else if (word === "IN") left = isIn(left, this.#set(), negated);
      else {
        const right = this.#expression(binding);
        left = word === "AND" || word === "OR" || word === "XOR" ? logic(word, left, right) : binary(word, left, right);
      }
    }
    this.#depth--;
    return left;
  }

  /** `NOT LIKE` and `NOT IN`. */
  #isNegated(): boolean {
    const after = this.#tokens[this.#at + 1];
    const word = after && wordOf(after);
    return wordOf(this.#next) === "NOT" && (word === "LIKE" || word === "IN");
  }

  #operand(): Evaluate {
    const token = this.#next;
    const word = wordOf(token);
    if (token.kind === "end") throw this.#unexpected();
    if (word === "-") return this.#negated();
    this.#at++;
    if (word === "NOT") return not(this.#expression(PREFIX));
    if (word === "EXISTS") return this.#exists();
    if (word === "TRUE" || word === "FALSE") return constant(word === "TRUE");
    if (word === "(") {
      const inner = this.#expression(0);
      this.#expect(")");
      return inner;
    }
    if (token.kind === "string") return constant(token.text);
    if (token.kind === "integer") return constant(integer(token.text, token.at));
    this.#at--;
    if (token.kind !== "name" || word !== undefined) throw this.#unexpected();
    this.#at++;
    return this.#take("(") ? this.#call(token) : attribute(token);
  }

  /** The least integer has no positive counterpart, so a sign is read together with its digits. */
  #negated(): Evaluate {
    this.#at++;
    const { kind, text, at } = this.#next;
    if (kind !== "integer") return negate(this.#expression(PREFIX));
    this.#at++;
    return constant(integer(`-${text}`, at));
  }

  #exists(): Evaluate {
    const token = this.#next;
    const isName = token.kind === "name" || token.kind === "integer";
    if (!isName || !ATTRIBUTE.test(token.text) || wordOf(token) !== undefined) {
      throw this.#unexpected("the name of an attribute");
    }
    this.#at++;
    const name = token.text.toLowerCase();
    return (attributes) => done(REQUIRED.has(name) || Object.hasOwn(attributes, name));
  }

  #pattern(): string {
    const { kind, text } = this.#next;
    if (kind !== "string") throw this.#unexpected("a pattern in quotes");
    this.#at++;
    return text;
  }

  #set(): Evaluate[] {
    this.#expect("(");
    return this.#list();
  }

  /** Expressions up to the closing bracket, at least one. */
  #list(): Evaluate[] {
    const elements: Evaluate[] = [];
    do elements.push(this.#expression(0));
    while (this.#take(","));
    this.#expect(")");
    return elements;
  }

  #call({ text, at }: Token): Evaluate {
    if (!FUNCTION.test(text)) throw syntaxError(at, `${JSON.stringify(text)} is no name of a function`);
    const args = this.#take(")") ? [] : this.#list();
    const found = findFunction(text, args.length);
    if (!found) {
      const missing = failed(false, "missingFunction", `there is no ${text.toUpperCase()} of ${args.length} arguments`);
      return () => missing;
    }
    const { parameters, rest = "string", returns } = found;
    return (attributes) => {
      const values: SqlValue[] = [];
      for (const [place, argument] of args.entries()) {
        const given = argument(attributes);
        const type = parameters[place] ?? rest;
        const taken = given.errors.length > 0 || type === "any" ? given : cast(given.value, type);
        if (taken.errors.length > 0) return { value: ZERO[returns], errors: taken.errors };
        values.push(taken.value);
      }
      return found.call(values);
    };
  }
}

/** The symbol or keyword that a token is, the latter in capitals; undefined for anything else. */
function wordOf({ kind, text }: Token): string | undefined {
  if (kind === "symbol") return text;
  const upper = kind === "name" ? text.toUpperCase() : "";
  return KEYWORDS.has(upper) ? upper : undefined;
}

function constant(value: SqlValue): Evaluate {
  const result = done(value);
  return () => result;
}

function integer(text: string, at: number): number {
  const number = Number(text);
  if (!isInteger(number)) throw syntaxError(at, `${text} does not fit in 32 bits`);
  return number;
}

function attribute({ text, at }: Token): Evaluate {
  if (!ATTRIBUTE.test(text)) throw syntaxError(at, `${JSON.stringify(text)} is no name of an attribute: a-z and 0-9`);
  const name = text.toLowerCase();
  const missing = failed(false, "missingAttribute", `the event has no ${name}`);
  return (attributes) => {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    return value === undefined ? missing : done(value);
  };
}
