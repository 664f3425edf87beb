import { SIGNS, type Tone } from "./tone.ts";

export type { Tone };

/** A state: a sign and a word, so that its colour says nothing that they do not. */
export function StateChip({ tone, children }: { readonly tone: Tone; readonly children: string }) {
  return (
    <span class={`chip ${tone}`}>
      <span aria-hidden="true">{SIGNS[tone]}</span> {children}
    </span>
  );
}
