import type { ComponentChildren } from "preact";
import { isReadOnly } from "../../state/session.ts";

export interface SubmitButtonProps {
  readonly busy: boolean;
  readonly words: string;
  /** Why it cannot be sent now. */
  readonly why?: string | undefined;
  /** Other buttons beside it. */
  readonly children?: ComponentChildren;
}

/** Sends a form that changes something; says why it cannot. */
export function SubmitButton({ busy, words, why, children }: SubmitButtonProps) {
  const reason = isReadOnly.value ? "This page changes nothing (ui_read_only)." : why;
  return (
    <p class="buttons">
      {reason !== undefined && <span class="hint">{reason}</span>}
      {children}
      <button type="submit" class="primary" disabled={busy || reason !== undefined}>
        {busy ? "Working…" : words}
      </button>
    </p>
  );
}
