import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { UiLogin, UiSession } from "../../../../contract/ui/session.ts";
import { askJson } from "../api.ts";
import { Button } from "../components/button.tsx";
import { Field } from "../components/field.tsx";
import { Failure } from "../components/message.tsx";
import { rememberFocus } from "../focus.ts";
import { heard, session } from "../state/session.ts";

export function SignIn() {
  useEffect(() => {
    document.title = "Sign in – faaslane";
  }, []);
  return (
    <main id="content" class="sign-in" tabIndex={-1}>
      <p class="brand">faaslane</p>
      <h1>Sign in</h1>
      <SignInForm />
    </main>
  );
}

/** Over the page whose session has ended: nothing of it is seen, and nothing of it is lost. */
export function SignInAgain() {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const goBack = rememberFocus();
    dialog.current?.showModal();
    return goBack;
  }, []);
  return (
    <dialog
      ref={dialog}
      class="again"
      aria-labelledby={heading}
      onCancel={(event) => event.preventDefault()}
      onClose={() => dialog.current?.showModal()}
    >
      <h2 id={heading}>Sign in again</h2>
      <p>Your session has ended. The page goes on where it was, with what you have entered.</p>
      <SignInForm />
    </dialog>
  );
}

function SignInForm() {
  const [user, setUser] = useState(session.value?.user ?? "admin");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const body: UiLogin = { user, password };
      heard(await askJson<UiSession>("/ui/api/session", { method: "POST", body }));
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Field label="User" value={user} onInput={setUser} autoComplete="username" required />
      <Field
        label="Password"
        type="password"
        value={password}
        onInput={setPassword}
        autoComplete="current-password"
        required
      />
      {error !== undefined && <Failure error={error} />}
      <Button class="primary" busy={busy}>
        {busy ? "Signing in…" : "Sign in"}
      </Button>
    </form>
  );
}
