import type { Dice } from "./dice.ts";

type Json = unknown;

const TEXTS = [
  "",
  " ",
  "a",
  "A",
  "-",
  ".",
  "..",
  "a.b",
  "a/b",
  "../../etc/passwd",
  "\0",
  "\r\n",
  "\u001b[2J",
  "\ud800",
  "\u202e",
  "é",
  "🙂",
  `\${A}`,
  "$(id)",
  "__proto__",
  "constructor",
  "toString",
  "0",
  "-1",
  "1e999",
  "0x10",
  "NaN",
  "Infinity",
  "true",
  "null",
  "128Mi",
  "1e99999",
  "100m",
  "9".repeat(5000),
  "a".repeat(64),
  "a".repeat(254),
  "x".repeat(70_000),
  "1 == 1",
  "(((((((((((((((",
  "a=b=c",
  "PATH",
  "LD_PRELOAD",
  "NODE_OPTIONS",
  "10s",
  "-10s",
  "999999999h",
];

const NUMBERS = [0, -0, 1, -1, 1.5, 1e9, 1e308, -1e308, 2 ** 31, 2 ** 32, 2 ** 53, 5e-324];

function anyValue(dice: Dice, depth = 0): Json {
  switch (dice.below(depth > 3 ? 5 : 8)) {
    case 0:
      return null;
    case 1:
      return dice.chance(0.5);
    case 2:
      return dice.pick(NUMBERS);
    case 3:
    case 4:
      return dice.pick(TEXTS);
    case 5:
      return Array.from({ length: dice.size(20) }, () => anyValue(dice, depth + 1));
    case 6:
      return Object.fromEntries(
        Array.from({ length: dice.size(20) }, () => [dice.pick(TEXTS), anyValue(dice, depth + 1)]),
      );
    default:
      return nested(dice);
  }
}

function nested(dice: Dice): Json {
  let value: Json = 1;
  for (let left = dice.size(3000); left > 0; left--) value = dice.chance(0.5) ? [value] : { a: value };
  return value;
}

function change(value: Json, dice: Dice): Json {
  if (dice.chance(0.2)) return anyValue(dice);
  if (Array.isArray(value)) {
    const copy = [...value];
    const at = dice.below(copy.length + 1);
    const what = dice.below(3);
    if (what === 0 || copy.length === 0) copy.splice(at, 0, anyValue(dice));
    else if (what === 1) copy.splice(at, 1);
    else copy[at % copy.length] = change(copy[at % copy.length], dice);
    return copy;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    const at = dice.below(entries.length + 1);
    const what = dice.below(5);
    if (what === 0 || entries.length === 0) entries.splice(at, 0, [dice.pick(TEXTS), anyValue(dice)]);
    else if (what === 1) entries.splice(at, 1);
    else {
      const [key, old] = entries[at % entries.length] as [string, Json];
      entries[at % entries.length] = [dice.chance(0.1) ? dice.pick(TEXTS) : key, change(old, dice)];
    }
    return Object.fromEntries(entries);
  }
  if (typeof value === "string") {
    const at = dice.below(value.length + 1);
    return dice.chance(0.5) ? dice.pick(TEXTS) : value.slice(0, at) + dice.pick(TEXTS) + value.slice(at);
  }
  return typeof value === "number" ? dice.pick(NUMBERS) : anyValue(dice);
}

/** A JSON text that is like one of `corpus`, but in some places. Now and then it is cut off or not JSON at all. */
export function mutateJson(corpus: readonly Json[], dice: Dice): string {
  let value: Json = dice.pick(corpus);
  for (let left = dice.between(1, 4); left > 0; left--) value = change(value, dice);
  let text = JSON.stringify(value) ?? "";
  if (dice.chance(0.05)) text = text.replaceAll('"a":', '"__proto__":');
  if (dice.chance(0.05)) text = text.slice(0, dice.below(text.length + 1));
  if (dice.chance(0.02)) text = "[".repeat(dice.size(200_000)) + text;
  return text;
}
