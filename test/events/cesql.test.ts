import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { compileExpression } from "../../events/cesql/expression.ts";
import { FURTHER, ROWS, type Row, WRONG } from "./cesql-rows.ts";

const EVENT = { specversion: "1.0", id: "1", source: "/test", type: "test" };

const check = ([expression, result, error, attributes]: Row) => {
  const { value, errors } = compileExpression(expression).evaluate({ ...EVENT, ...attributes });
  expect({ value, error: errors[0]?.kind }).toEqual({ value: result, error });
};

describe.each(Object.entries({ ...ROWS, ...FURTHER }))("CESQL, %s", (_subject, rows) => {
  test.each(rows.map((row) => [row[0], row] as const))("%s", (_expression, row) => check(row));
});

test("271 of the public kit's 275 cases are in the table, one of them for two", () => {
  expect(Object.values(ROWS).flat()).toHaveLength(270);
});

test.each(WRONG)("is no expression: %j", (text) => {
  expect(() => compileExpression(text)).toThrow(expect.objectContaining({ kind: "invalid" }));
});

test("says where it goes wrong, and what it would have liked", () => {
  expect(() => compileExpression("id IN 'a'")).toThrow('CESQL at character 7: "a" is not expected; "(" is');
  expect(() => compileExpression("id = ")).toThrow("CESQL at character 6: the expression ends");
});

test.each([
  ["brackets", "(".repeat(5_000)],
  ["negations", "NOT ".repeat(1_900)],
  ["signs", "-".repeat(5_000)],
  ["calls", "ABS(".repeat(1_900)],
  ["its length", `'${"a".repeat(9_000)}'`],
])("refuses an expression with too many of: %s", (_what, text) => {
  expect(() => compileExpression(text)).toThrow(expect.objectContaining({ kind: "invalid" }));
});

test("long chains without nesting are no trouble", () => {
  const chain = Array.from({ length: 500 }, () => "1").join(" + ");
  expect(compileExpression(chain).evaluate(EVENT)).toEqual({ value: 500, errors: [] });
});

test("a pattern that begs for backtracking takes no time to speak of", () => {
  const { evaluate } = compileExpression(`subject LIKE '${"%a".repeat(1_000)}b'`);
  expect(evaluate({ ...EVENT, subject: "a".repeat(10_000) }).value).toBe(false);
});

test("nothing that anybody writes is more than refused", () => {
  const part = fc.constantFrom(
    ..."id missing TRUE 'a' 7 ( ) , + - * / % = != < >= AND OR NOT IN LIKE EXISTS LEFT( CONCAT( 'a%'".split(" "),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      let compiled: ReturnType<typeof compileExpression>;
      try {
        compiled = compileExpression(parts.join(" "));
      } catch (error) {
        expect(error).toMatchObject({ kind: "invalid" });
        return;
      }
      expect(["string", "number", "boolean"]).toContain(typeof compiled.evaluate(EVENT).value);
    }),
    { numRuns: 2_000 },
  );
});
