import { expect } from "@jest/globals";
import { followDocument } from "../support/follow-document.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { missingPrograms } from "../templates/support/programs.ts";

testNeeding(unlessRequired(missingPrograms("curl")))(
  "docs/versions.md does what its walk-through says",
  async () => {
    expect(await followDocument("docs/versions.md")).toEqual({ files: 5, answers: 21 });
  },
  240_000,
);
