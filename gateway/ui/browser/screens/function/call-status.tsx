import type { CallRow } from "../../../../../contract/ui/series.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";

/** The status with its tone, and the platform's code where it was not the function that answered. */
export function Status({ call: { status, error } }: { readonly call: Pick<CallRow, "status" | "error"> }) {
  const tone: Tone = status === 0 || status >= 500 ? "bad" : status >= 400 ? "warn" : "good";
  return (
    <>
      <StateChip tone={tone}>{status === 0 ? "no answer" : String(status)}</StateChip>
      {error !== undefined && <code> {error}</code>}
    </>
  );
}
