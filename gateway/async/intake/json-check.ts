/** What is wrong with a text so far: it is no JSON, or nested too deep. */
export type JsonProblem = "syntax" | "depth";

/** Where in the grammar the next byte stands; those of numbers as RFC 8259 §6 draws them. */
const STATE = {
  value: 0,
  firstItem: 1,
  firstKey: 2,
  key: 3,
  colon: 4,
  afterValue: 5,
  string: 6,
  escape: 7,
  hex: 8,
  literal: 9,
  minus: 10,
  zero: 11,
  integer: 12,
  dot: 13,
  fraction: 14,
  exponent: 15,
  exponentSign: 16,
  exponentDigits: 17,
} as const;

const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const UPPER_E = 0x45;
const LOWER_E = 0x65;
const LOWER_U = 0x75;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const bytesOf = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const LITERALS = new Map([
  [0x74, bytesOf("true")],
  [0x66, bytesOf("false")],
  [0x6e, bytesOf("null")],
]);
const ESCAPES = new Set(bytesOf('"\\/bfnrt'));
const NUMBER_ENDS: ReadonlySet<number> = new Set([STATE.zero, STATE.integer, STATE.fraction, STATE.exponentDigits]);

const isBlank = (byte: number) => byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isDigit = (byte: number) => byte >= ZERO && byte <= NINE;
const isHex = (byte: number) => isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);

/**
 * Tells whether UTF-8 is one JSON value, piece by piece and without making that value: a parser's time and memory
 * depend on what is in it, and it cannot be interrupted.
 * @see RFC 8259
 */
export class JsonCheck {
  readonly #maxDepth: number;
  /** For each level: 1 for an object, 0 for an array. */
  readonly #objects: Uint8Array;
  #depth = 0;
  #state: number = STATE.value;
  /** The string is a name in an object. */
  #isKey = false;
  #literal: Uint8Array = new Uint8Array();
  /** Bytes of the literal, or digits of the escape, that are there already. */
  #matched = 0;
  #problem: JsonProblem | undefined;

  /** @param maxDepth arrays and objects in one another */
  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
    this.#objects = new Uint8Array(maxDepth);
  }

  /** Begins anew. */
  reset(): void {
    this.#depth = 0;
    this.#state = STATE.value;
    this.#problem = undefined;
  }

  /** Takes the bytes from `start` to before `end`. @returns what is wrong, if anything */
  add(bytes: Uint8Array, start: number, end: number): JsonProblem | undefined {
    for (let at = start; at < end && this.#problem === undefined; ) {
      if (this.#state === STATE.string) at = this.#inString(bytes, at, end);
      else if (this.#step(bytes[at] as number)) at++;
    }
    return this.#problem;
  }

  /** The text is over. @returns what is wrong with it, if anything */
  end(): JsonProblem | undefined {
    const whole = this.#depth === 0 && (this.#state === STATE.afterValue || NUMBER_ENDS.has(this.#state));
    return this.#problem ?? (whole ? undefined : "syntax");
  }

  /** @returns where the string, or `end`, is over */
  #inString(bytes: Uint8Array, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH) continue;
      if (byte === QUOTE) this.#state = this.#isKey ? STATE.colon : STATE.afterValue;
      else if (byte === BACKSLASH) this.#state = STATE.escape;
      else this.#problem = "syntax";
      return at + 1;
    }
    return end;
  }

  /** @returns whether it has taken the byte; otherwise it comes again, in another state */
  #step(byte: number): boolean {
    switch (this.#state) {
      case STATE.value:
        return isBlank(byte) || this.#beginValue(byte);
      case STATE.firstItem:
        if (isBlank(byte)) return true;
        return byte === CLOSE_ARRAY ? this.#close(0) : this.#beginValue(byte);
      case STATE.firstKey:
        if (isBlank(byte)) return true;
        return byte === CLOSE_OBJECT ? this.#close(1) : this.#beginKey(byte);
      case STATE.key:
        return isBlank(byte) || this.#beginKey(byte);
      case STATE.colon:
        return isBlank(byte) || this.#to(byte === COLON, STATE.value);
      case STATE.afterValue:
        return isBlank(byte) || this.#endValue(byte);
      case STATE.escape:
        this.#matched = 0;
        return byte === LOWER_U ? this.#to(true, STATE.hex) : this.#to(ESCAPES.has(byte), STATE.string);
      case STATE.hex:
        return this.#to(isHex(byte), ++this.#matched === 4 ? STATE.string : STATE.hex);
      case STATE.literal: {
        const isNext = this.#literal[this.#matched++] === byte;
        return this.#to(isNext, this.#matched === this.#literal.length ? STATE.afterValue : STATE.literal);
      }
      default:
        return this.#inNumber(byte);
    }
  }

  #inNumber(byte: number): boolean {
    const digit = isDigit(byte);
    switch (this.#state) {
      case STATE.minus:
        return this.#to(digit, byte === ZERO ? STATE.zero : STATE.integer);
      case STATE.dot:
        return this.#to(digit, STATE.fraction);
      case STATE.exponent:
        return this.#to(digit || byte === PLUS || byte === MINUS, digit ? STATE.exponentDigits : STATE.exponentSign);
      case STATE.exponentSign:
        return this.#to(digit, STATE.exponentDigits);
    }
    if (digit && this.#state !== STATE.zero) return true;
    const beforeDot = this.#state === STATE.zero || this.#state === STATE.integer;
    if (beforeDot && byte === DOT) return this.#to(true, STATE.dot);
    const beforeExponent = beforeDot || this.#state === STATE.fraction;
    if (beforeExponent && (byte === UPPER_E || byte === LOWER_E)) return this.#to(true, STATE.exponent);
    this.#state = STATE.afterValue;
    return false;
  }

  #beginValue(byte: number): boolean {
    switch (byte) {
      case QUOTE:
        this.#isKey = false;
        return this.#to(true, STATE.string);
      case OPEN_OBJECT:
        return this.#open(1);
      case OPEN_ARRAY:
        return this.#open(0);
      case MINUS:
        return this.#to(true, STATE.minus);
    }
    if (isDigit(byte)) return this.#to(true, byte === ZERO ? STATE.zero : STATE.integer);
    const literal = LITERALS.get(byte);
    if (literal) {
      this.#literal = literal;
      this.#matched = 1;
    }
    return this.#to(literal !== undefined, STATE.literal);
  }

  #beginKey(byte: number): boolean {
    this.#isKey = true;
    return this.#to(byte === QUOTE, STATE.string);
  }

  #endValue(byte: number): boolean {
    const isObject = this.#depth > 0 ? this.#objects[this.#depth - 1] : undefined;
    if (isObject === undefined) return this.#to(false, STATE.afterValue);
    if (byte === COMMA) return this.#to(true, isObject ? STATE.key : STATE.value);
    return byte === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY) ? this.#close(isObject) : this.#to(false, STATE.afterValue);
  }

  #open(isObject: number): boolean {
    if (this.#depth === this.#maxDepth) {
      this.#problem = "depth";
      return true;
    }
    this.#objects[this.#depth++] = isObject;
    return this.#to(true, isObject ? STATE.firstKey : STATE.firstItem);
  }

  #close(isObject: number): boolean {
    const isOpen = this.#objects[--this.#depth] === isObject;
    return this.#to(isOpen, STATE.afterValue);
  }

  /** @param allowed whether the grammar has the byte here */
  #to(allowed: boolean, state: number): boolean {
    if (allowed) this.#state = state;
    else this.#problem = "syntax";
    return true;
  }
}
