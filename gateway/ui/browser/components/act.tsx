import type { ComponentChildren } from "preact";
import { type Act, type ActRequest, curlOf } from "../act.ts";
import { ask } from "../api.ts";
import { Button, whyNot } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { Equivalent } from "./equivalent.tsx";

export interface ActButtonProps {
  readonly children: ComponentChildren;
  readonly onClick: () => void;
  /** Why it cannot be done now; it can be when absent. */
  readonly why?: string | undefined;
  readonly class?: "primary" | "danger";
}

/** A button for what changes something: it says why it cannot be used. */
export function ActButton({ children, onClick, why, class: name }: ActButtonProps) {
  return (
    <Button class={name} why={whyNot(why)} onClick={onClick}>
      {children}
    </Button>
  );
}

export interface ActDialogProps {
  readonly act: Act;
  readonly children?: ComponentChildren;
  readonly isReady?: boolean;
  /** In place of the act's request alone. */
  readonly run?: () => Promise<unknown>;
  readonly onClose: (done: boolean) => void;
}

/** Asks before something is done, and says how to do it without the page. */
export function ActDialog({ act, children, isReady = true, run, onClose }: ActDialogProps) {
  return (
    <Dialog
      title={act.title}
      action={act.action}
      isDangerous={act.isDangerous ?? false}
      isReady={isReady}
      run={run ?? (() => send(act.request))}
      onClose={onClose}
    >
      <p>{act.effect}</p>
      {children}
      <Equivalent cli={act.cli} curl={curlOf(act.request)} />
    </Dialog>
  );
}

/** @throws {ApiError} */
export function send({ method, path, body }: ActRequest): Promise<Response> {
  return ask(path, { method, ...(body !== undefined && { body }) });
}
