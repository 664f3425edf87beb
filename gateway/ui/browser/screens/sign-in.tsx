import { useState } from "preact/hooks";
import type { UiLogin, UiSession } from "../../../../contract/ui/session.ts";
import { askJson } from "../api.ts";
import { Field } from "../components/field.tsx";
import { Failure } from "../components/message.tsx";
import { heard } from "../state/session.ts";

export function SignIn() {
  const [user, setUser] = useState("admin");
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
    <main id="content" class="sign-in" tabIndex={-1}>
      <h1>Sign in</h1>
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
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
