import type { EventState } from "../../../../../contract/events/event-report.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";

const TONES: Readonly<Record<EventState, Tone>> = {
  pending: "busy",
  unmatched: "idle",
  waiting: "busy",
  delivering: "busy",
  retrying: "warn",
  delivered: "good",
  dead: "bad",
  dropped: "warn",
};

/** Those that can be asked for. */
export const STATES = Object.keys(TONES).filter((state) => state !== "pending");

export function EventStateChip({ state }: { readonly state: EventState }) {
  return <StateChip tone={TONES[state]}>{state}</StateChip>;
}
