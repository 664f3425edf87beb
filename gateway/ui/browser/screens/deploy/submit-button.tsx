import type { ComponentChildren } from "preact";
import { Button, whyNot } from "../../components/button.tsx";

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
  const reason = whyNot(why);
  return (
    <p class="buttons">
      {reason !== undefined && <span class="hint">{reason}</span>}
      {children}
      <Button class="primary" busy={busy} why={reason}>
        {busy ? "Working…" : words}
      </Button>
    </p>
  );
}
