import { expect, test } from "@jest/globals";
import { FaasError, STATUS, toFaasError } from "../../contract/errors.ts";

const system = (code: string) => Object.assign(new Error(`${code}: /secret/path`), { code });
const sqlite = (errcode: number) => Object.assign(new Error("database"), { code: "ERR_SQLITE_ERROR", errcode });

test.each<[what: string, thrown: unknown, status: number, text: RegExp]>([
  ["a full disk", system("ENOSPC"), 507, /no space is left/],
  ["a used-up quota", system("EDQUOT"), 507, /quota/],
  ["a database on a full disk", sqlite(13), 507, /no space is left/],
  ["a read-only disk", system("EROFS"), 503, /read-only/],
  ["a database on a disk that fails", sqlite(10 | (3 << 8)), 503, /does not work/],
  ["no descriptors", system("EMFILE"), 503, /descriptor/],
  ["no memory", system("ENOMEM"), 503, /memory/],
  ["what was wrapped", new Error("outer", { cause: new Error("inner", { cause: system("ENOSPC") }) }), 507, /space/],
  ["a bug", new TypeError("x is not a function"), 500, /^internal error$/],
  ["an error of the database that is a bug", sqlite(1), 500, /^internal error$/],
  ["what is no error at all", "ENOSPC", 500, /^internal error$/],
])("%s", (_what, thrown, status, text) => {
  const error = toFaasError(thrown);
  expect([STATUS[error.kind], error.message]).toEqual([status, expect.stringMatching(text)]);
  expect(error.message).not.toContain("/secret/path");
});

test("a failure that was meant for a client stays what it is", () => {
  const error = new FaasError("conflict", "taken", { cause: system("ENOSPC") });
  expect(toFaasError(error)).toBe(error);
});

test("a cause that is its own cause ends the search", () => {
  const error: Error & { cause?: unknown } = new Error("round");
  error.cause = error;
  expect(toFaasError(error).kind).toBe("internal");
});
