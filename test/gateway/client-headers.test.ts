import { expect, test } from "@jest/globals";
import { buildClientHeaders } from "../../gateway/proxy/headers.ts";

test.each(["constructor", "toString", "hasOwnProperty", "valueOf", "__proto__"])(
  "a function's header %s is a header like any other",
  (name) => {
    for (const value of ["a", ["a", "b"]]) {
      const headers = buildClientHeaders(Object.fromEntries([[name, value]]), { "x-call-id": "1" }, 200);
      expect(Object.entries(headers)).toEqual([
        ["x-call-id", "1"],
        [name, value],
      ]);
      expect(Object.getPrototypeOf(headers)).toBe(Object.prototype);
    }
  },
);
