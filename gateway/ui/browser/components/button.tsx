import type { ComponentChildren } from "preact";
import { isReadOnly } from "../state/session.ts";

export interface ButtonProps {
  readonly children: ComponentChildren;
  /** Nothing for one that sends its form. */
  readonly onClick?: () => void;
  /** Why it cannot be used now; it can be when absent. */
  readonly why?: string | undefined;
  /** What it has begun goes on: it cannot be used meanwhile. */
  readonly busy?: boolean;
  readonly class?: "primary" | "danger" | undefined;
  readonly pressed?: boolean | undefined;
}

/**
 * A button that cannot be used at times. It keeps the focus then, and says why: one that is `disabled` would lose it, and could not be
 * come to with the keyboard.
 */
export function Button({ children, onClick, why, busy = false, class: name, pressed }: ButtonProps) {
  const isOff = busy || why !== undefined;
  return (
    <button
      type={onClick ? "button" : "submit"}
      class={name}
      aria-disabled={isOff || undefined}
      aria-pressed={pressed}
      title={why}
      onClick={(event) => {
        // So is a form that is sent with Enter: browsers press its button.
        if (isOff) event.preventDefault();
        else onClick?.();
      }}
    >
      {children}
    </button>
  );
}

/** Why nothing can be changed at all, or `why`. */
export function whyNot(why?: string): string | undefined {
  return isReadOnly.value ? "This page changes nothing (ui_read_only)" : why;
}
