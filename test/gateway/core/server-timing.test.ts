import { expect, test } from "@jest/globals";
import { buildServerTiming, type ColdCall } from "../../../gateway/core/server-timing.ts";

test.each<[rule: string, given: ColdCall, expected: string]>([
  [
    "a call that waited for a replica of which nothing is known",
    { heldMs: 12.345, firstByteMs: 20, startup: undefined },
    "faaslane-hold;dur=12.3, faaslane-first-byte;dur=20",
  ],
  [
    "phases are in order, those that nobody saw are left out",
    { heldMs: 500, firstByteMs: 501, startup: { offered: 480, listening: 470, scheduled: 3 } },
    "faaslane-hold;dur=500, faaslane-scheduled;dur=3, faaslane-listening;dur=470, faaslane-offered;dur=480, faaslane-first-byte;dur=501",
  ],
])("%s", (_rule, given, expected) => {
  expect(buildServerTiming(given)).toBe(expected);
});
