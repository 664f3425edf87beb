import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { rememberFocus } from "../focus.ts";
import { Button } from "./button.tsx";
import { Failure } from "./message.tsx";

export interface DialogProps {
  readonly title: string;
  /** What will happen, and what will not. */
  readonly children?: ComponentChildren;
  /** Word on the button that does it. */
  readonly action: string;
  /** It cannot be undone. */
  readonly isDangerous?: boolean;
  readonly isReady?: boolean;
  readonly run: () => Promise<unknown>;
  readonly onClose: (done: boolean) => void;
}

/** Asks before something is done, does it, and says why it failed. Focus goes back to where it came from. */
export function Dialog({ title, children, action, isDangerous, isReady = true, run, onClose }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const goBack = rememberFocus();
    dialog.current?.showModal();
    return goBack;
  }, []);
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await run();
      onClose(true);
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <dialog
      ref={dialog}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        if (!busy) onClose(false);
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h2 id={heading}>{title}</h2>
        {children}
        {error !== undefined && <Failure error={error} />}
        <p class="buttons">
          <Button busy={busy} onClick={() => onClose(false)}>
            Cancel
          </Button>
          <Button
            busy={busy}
            class={isDangerous ? "danger" : "primary"}
            why={isReady ? undefined : "Something is missing or wrong above"}
          >
            {busy ? "Working…" : action}
          </Button>
        </p>
      </form>
    </dialog>
  );
}
