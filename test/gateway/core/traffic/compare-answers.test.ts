import { expect, test } from "@jest/globals";
import { type AnswerDigest, compareAnswers } from "../../../../gateway/core/traffic/compare-answers.ts";

const digest = (more: Partial<AnswerDigest> = {}): AnswerDigest => ({ status: 200, length: 5, hash: "a", ...more });
const long = digest({ length: 9_000_000, hash: undefined });

test.each<[own: AnswerDigest | undefined, copy: AnswerDigest | undefined, result: string]>([
  [digest(), digest(), "same"],
  [digest(), digest({ status: 404 }), "status"],
  [digest(), digest({ length: 6 }), "length"],
  [digest(), digest({ hash: "b" }), "body"],
  [digest(), undefined, "failed"],
  [undefined, undefined, "failed"],
  [undefined, digest(), "unknown"],
  [digest(), digest({ length: undefined, hash: undefined }), "length"],
  [long, digest({ length: undefined, hash: undefined }), "unknown"],
  [long, digest(), "length"],
])("%j beside %j is %s", (own, copy, result) => {
  expect(compareAnswers(own, copy)).toBe(result);
});
