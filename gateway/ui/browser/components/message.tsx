import type { ComponentChildren } from "preact";
import { ApiError } from "../api.ts";

/** Something has failed: read out at once. */
export function Failure({ error }: { readonly error: unknown }) {
  const code = error instanceof ApiError ? error.code : undefined;
  return (
    <div class="message bad" role="alert">
      <strong>{error instanceof Error ? error.message : String(error)}</strong>
      {code && <code> {code}</code>}
    </div>
  );
}

/** Something went well, or is to be known. */
export function Notice({ children }: { readonly children: ComponentChildren }) {
  return (
    <div class="message" role="status">
      {children}
    </div>
  );
}

/** Nothing there yet: says so, and teaches one command. */
export function Empty({ children, command }: { readonly children: ComponentChildren; readonly command?: string }) {
  return (
    <div class="empty">
      <p>{children}</p>
      {command && (
        <pre>
          <code>{command}</code>
        </pre>
      )}
    </div>
  );
}

export function Loading() {
  return (
    <p class="loading" role="status">
      Loading…
    </p>
  );
}
