import { cast, done, failed, type SqlResult, type SqlValue, type ValueType } from "./values.ts";

/** A function of the language. */
export interface BuiltIn {
  /** Of its parameters in order; with `rest` any number of that type more. */
  readonly parameters: readonly (ValueType | "any")[];
  readonly rest?: ValueType;
  readonly returns: ValueType;
  call(args: readonly SqlValue[]): SqlResult;
}

const unary = (from: ValueType | "any", returns: ValueType, call: (value: SqlValue) => SqlResult): BuiltIn => ({
  parameters: [from],
  returns,
  call: ([value = ""]) => call(value),
});
const text = (change: (value: string) => string): BuiltIn =>
  unary("string", "string", (value) => done(change(value as string)));
const castTo = (type: ValueType): BuiltIn => unary("any", type, (value) => cast(value, type));
const characters = (value: SqlValue) => Array.from(value as string);

const MAX_INTEGER = 2 ** 31 - 1;

function abs(value: SqlValue): SqlResult {
  const number = Math.abs(value as number);
  return number > MAX_INTEGER ? failed(MAX_INTEGER, "math", "ABS: the result does not fit in 32 bits") : done(number);
}

function end(name: "LEFT" | "RIGHT"): BuiltIn {
  return {
    parameters: ["string", "integer"],
    returns: "string",
    call: ([value = "", count = 0]) => {
      const all = characters(value);
      const wanted = count as number;
      if (wanted < 0) return failed(value, "functionEvaluation", `${name}: ${wanted} is below 0`);
      return done((name === "LEFT" ? all.slice(0, wanted) : all.slice(Math.max(0, all.length - wanted))).join(""));
    },
  };
}

/** From a place that is counted from 1, or from the end when negative; 0 is nowhere. */
function substring([value = "", place = 0, count]: readonly SqlValue[]): SqlResult {
  const all = characters(value);
  const position = place as number;
  if (position === 0) return done("");
  const start = position > 0 ? position - 1 : all.length + position;
  if (start < 0 || start > all.length)
    return failed("", "functionEvaluation", `SUBSTRING: ${position} is outside the text`);
  const length = count === undefined ? all.length : (count as number);
  if (length < 0) return failed("", "functionEvaluation", `SUBSTRING: ${length} is below 0`);
  return done(all.slice(start, start + length).join(""));
}

const SUBSTRING = { returns: "string", call: substring } as const;

/** By name in capitals; several where the number of arguments may differ. */
const FUNCTIONS: Readonly<Record<string, readonly BuiltIn[]>> = {
  INT: [castTo("integer")],
  BOOL: [castTo("boolean")],
  STRING: [castTo("string")],
  IS_INT: [unary("any", "boolean", (value) => done(cast(value, "integer").errors.length === 0))],
  IS_BOOL: [unary("any", "boolean", (value) => done(cast(value, "boolean").errors.length === 0))],
  ABS: [unary("integer", "integer", abs)],
  LENGTH: [unary("string", "integer", (value) => done(characters(value).length))],
  LOWER: [text((value) => value.toLowerCase())],
  UPPER: [text((value) => value.toUpperCase())],
  TRIM: [text((value) => value.trim())],
  CONCAT: [{ parameters: [], rest: "string", returns: "string", call: (args) => done(args.join("")) }],
  CONCAT_WS: [
    {
      parameters: ["string"],
      rest: "string",
      returns: "string",
      call: ([separator = "", ...parts]) => done(parts.join(separator as string)),
    },
  ],
  LEFT: [end("LEFT")],
  RIGHT: [end("RIGHT")],
  SUBSTRING: [
    { ...SUBSTRING, parameters: ["string", "integer"] },
    { ...SUBSTRING, parameters: ["string", "integer", "integer"] },
  ],
};

/** The function of that name for so many arguments; undefined where there is none. */
export function findFunction(name: string, count: number): BuiltIn | undefined {
  const upper = name.toUpperCase();
  const candidates = Object.hasOwn(FUNCTIONS, upper) ? FUNCTIONS[upper] : undefined;
  return candidates?.find(({ parameters, rest }) => parameters.length === count || (rest && count > parameters.length));
}
