import { expect } from "@jest/globals";
import { followDocument } from "../support/follow-document.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { missingPrograms } from "../templates/support/programs.ts";

testNeeding(unlessRequired(missingPrograms("python3", "curl")))(
  "docs/first-function.md does what it says",
  async () => {
    expect(await followDocument("docs/first-function.md")).toEqual({ files: 4, answers: 3 });
  },
  180_000,
);
