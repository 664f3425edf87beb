import { expect } from "@jest/globals";
import { followDocument } from "../support/follow-document.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { missingPrograms } from "../templates/support/programs.ts";

testNeeding(unlessRequired(missingPrograms("curl")))(
  "docs/events.md does what it says",
  async () => {
    expect(await followDocument("docs/events.md")).toEqual({ files: 2, answers: 20 });
  },
  180_000,
);
