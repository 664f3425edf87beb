import { useState } from "preact/hooks";
import { plainLine } from "../../ansi.ts";
import { ApiError, ask } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field, Panel } from "../../components/field.tsx";
import { Failure } from "../../components/message.tsx";
import { StateChip } from "../../components/state-chip.tsx";
import { formatMs, formatSize } from "../../format.ts";
import type { FunctionPart } from "./part.ts";

interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string | undefined;
  readonly bytes: number;
  readonly ms: number;
}

const METHODS = ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD"];
const MAX_SHOWN_BYTES = 256 * 1024;

export function FunctionInvoke({ name, namespace }: FunctionPart) {
  const [method, setMethod] = useState("POST");
  const [rest, setRest] = useState("");
  const [type, setType] = useState("text/plain");
  const [body, setBody] = useState("");
  const [asynchronous, setAsynchronous] = useState(false);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const path = `/${asynchronous ? "async-function" : "function"}/${name}.${namespace}${rest === "" || rest.startsWith("/") || rest.startsWith("?") ? rest : `/${rest}`}`;
  const hasBody = method !== "GET" && method !== "HEAD";
  const send = async () => {
    setBusy(true);
    setError(undefined);
    try {
      setAnswer(await call(path, { method, ...(hasBody && { body, headers: { "content-type": type } }) }));
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="panels">
      <Panel title="Call">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void send();
          }}
        >
          <Field label="Method" value={method} options={METHODS} onInput={setMethod} />
          <Field label="Path and query" value={rest} onInput={setRest} hint="below the function, e.g. /users?limit=5" />
          {hasBody && (
            <>
              <Field label="Content type" value={type} onInput={setType} />
              <Field label="Body" value={body} onInput={setBody} rows={6} />
            </>
          )}
          <p>
            <label>
              <input
                type="checkbox"
                checked={asynchronous}
                onChange={(event) => setAsynchronous(event.currentTarget.checked)}
              />{" "}
              Asynchronously, by the queue
            </label>
          </p>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Calling…" : "Call"}
          </button>
        </form>
        <Equivalent
          cli={`${hasBody && body !== "" ? "printf %s '…' | " : ""}faaslane invoke ${name} -n ${namespace}${asynchronous ? " --async" : ""}`}
          curl={`curl -X ${method} $GATEWAY${path}`}
        />
      </Panel>
      <section class="panel" aria-live="polite" aria-label="Answer">
        <h2>Answer</h2>
        {error !== undefined && <Failure error={error} />}
        {answer && <AnswerView answer={answer} />}
        {!answer && error === undefined && <p>Nothing has been called yet.</p>}
      </section>
    </div>
  );
}

function AnswerView({ answer }: { readonly answer: Answer }) {
  const { status, headers, text, bytes, ms } = answer;
  return (
    <>
      <p>
        <StateChip tone={status < 400 ? "good" : "bad"}>{String(status)}</StateChip> {formatSize(bytes)} in{" "}
        {formatMs(ms)}
      </p>
      <details>
        <summary>Headers</summary>
        <dl>
          {headers.map(([header, value]) => (
            <>
              <dt key={header}>{header}</dt>
              <dd>
                <bdi>{value}</bdi>
              </dd>
            </>
          ))}
        </dl>
      </details>
      {text === undefined ? (
        <p>It is no text, or more than can be shown.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <pre class="log" tabIndex={0}>
          {text.split("\n").map(plainLine).join("\n")}
        </pre>
      )}
    </>
  );
}

/** Calls a function; what it answers is its own, errors too. */
async function call(path: string, init: Parameters<typeof ask>[1]): Promise<Answer> {
  const begun = performance.now();
  const answer = await ask(path, { ...init, takesErrors: true });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const ms = performance.now() - begun;
  if (answer.type === "opaqueredirect") throw new ApiError(0, "it answers with a redirect, which is not followed here");
  let text: string | undefined;
  try {
    if (bytes.length <= MAX_SHOWN_BYTES) text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // It is no text.
  }
  return { status: answer.status, headers: [...answer.headers], text, bytes: bytes.length, ms };
}
