import "../../../styles/form.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../../components/button.tsx";
import { CheckField } from "../../../components/check-field.tsx";
import { Equivalent } from "../../../components/equivalent.tsx";
import { Field, Panel } from "../../../components/field.tsx";
import { Failure } from "../../../components/message.tsx";
import { PairsField } from "../../../components/pairs.tsx";
import { Moment } from "../../../components/time.tsx";
import { formatMs } from "../../../format.ts";
import { now, session } from "../../../state/session.ts";
import type { FunctionPart } from "../part.ts";
import { type Answer, callFunction } from "./answer.ts";
import { AnswerView } from "./answer-view.tsx";
import { AsyncCall } from "./async-call.tsx";
import {
  type CallForm,
  type CallProblems,
  callCommands,
  callHeaders,
  callPath,
  callProblems,
  hasBody,
  NEW_CALL,
} from "./call-form.ts";
import { forgetCalls, keepCall, type PastCall, readCalls } from "./history.ts";

const METHODS = ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/** Calls a function, by the queue too, and shows what it answers. */
export function FunctionInvoke(part: FunctionPart) {
  const [form, setForm] = useState<CallForm>(NEW_CALL);
  const [calls, setCalls] = useState(() => readCalls(part, sessionStorage));
  const [got, setGot] = useState<{ readonly answer: Answer; readonly callId: string | undefined }>();
  const [error, setError] = useState<unknown>();
  const [work, setWork] = useState<AbortController>();
  const running = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const problems = callProblems(form);
  const send = async () => {
    const controller = new AbortController();
    running.current = controller;
    setWork(controller);
    setError(undefined);
    setGot(undefined);
    try {
      const answer = await callFunction(callPath(part, form), {
        method: form.asynchronous ? "POST" : form.method,
        headers: callHeaders(form),
        ...(hasBody(form) && { body: form.body }),
        signal: controller.signal,
      });
      setGot({ answer, callId: form.asynchronous ? callIdOf(answer) : undefined });
      setCalls(keepCall(part, { at: now(), form, status: answer.status, ms: answer.ms }, sessionStorage));
    } catch (caught) {
      setError(
        controller.signal.aborted ? new Error("nobody waits for the answer any more; the function may go on") : caught,
      );
    }
    setWork(undefined);
  };
  return (
    <div class="panels">
      <Panel title="Call">
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (!work && Object.keys(problems).length === 0) void send();
          }}
        >
          <CallFields form={form} problems={problems} onChange={setForm} />
          <p class="acts">
            <Button class="primary" busy={work !== undefined} why={Object.values(problems)[0]}>
              {work ? "Calling…" : "Call"}
            </Button>
            {work && (
              <button type="button" onClick={() => work.abort()}>
                Stop waiting
              </button>
            )}
          </p>
        </form>
        <Equivalent {...callCommands(part, form)} />
      </Panel>
      <div>
        <section class="panel" aria-live="polite" aria-label="Answer">
          <h2>Answer</h2>
          {error !== undefined && <Failure error={error} />}
          {got?.callId !== undefined && <AsyncCall id={got.callId} name={part.name} key={got.callId} />}
          {got && got.callId === undefined && <AnswerView answer={got.answer} name={part.name} />}
          {!got && error === undefined && <p>{work ? "It is being called." : "Nothing has been called yet."}</p>}
        </section>
        <History
          calls={calls}
          onChoose={setForm}
          onForget={() => {
            forgetCalls(sessionStorage, part);
            setCalls([]);
          }}
        />
      </div>
    </div>
  );
}

/** Of the queue, where it has taken the call: the last part of where its status is. */
function callIdOf({ status, headers }: Answer): string | undefined {
  const location = headers.find(([name]) => name === "location")?.[1];
  return status === 202 ? location?.split("/").at(-1) : undefined;
}

interface CallFieldsProps {
  readonly form: CallForm;
  readonly problems: CallProblems;
  readonly onChange: (form: CallForm) => void;
}

function CallFields({ form, problems, onChange }: CallFieldsProps) {
  const set = (next: Partial<CallForm>) => onChange({ ...form, ...next });
  const hasQueue = session.value?.features.queue ?? false;
  return (
    <>
      <div class="fields-beside">
        <Field
          label="Method"
          value={form.asynchronous ? "POST" : form.method}
          options={METHODS}
          disabled={form.asynchronous}
          onInput={(method) => set({ method })}
        />
        <Field
          label="Path"
          value={form.path}
          onInput={(path) => set({ path })}
          hint="below the function, e.g. /users"
          error={problems.path}
        />
        <Field label="Query" value={form.query} onInput={(query) => set({ query })} hint="e.g. limit=5&sort=name" />
      </div>
      <PairsField
        label="Headers"
        pairs={form.headers}
        onChange={(headers) => set({ headers })}
        error={problems.headers}
      />
      {hasBody(form) && (
        <>
          <Field
            label="Content type"
            value={form.type}
            onInput={(type) => set({ type })}
            hint="e.g. application/json"
            error={problems.type}
          />
          <Field label="Body" value={form.body} onInput={(body) => set({ body })} rows={6} />
        </>
      )}
      <CheckField checked={form.asynchronous} disabled={!hasQueue} onChange={(asynchronous) => set({ asynchronous })}>
        Asynchronously, by the queue{!hasQueue && " (this gateway has none)"}
      </CheckField>
      {form.asynchronous && (
        <div class="fields-beside">
          <Field
            label="Callback"
            value={form.callback}
            onInput={(callback) => set({ callback })}
            hint="where the result is sent, a URL"
            error={problems.callback}
          />
          <Field
            label="Not before"
            value={form.delay}
            onInput={(delay) => set({ delay })}
            hint="so much time has passed, e.g. 90 or 1m30s"
            error={problems.delay}
          />
        </div>
      )}
    </>
  );
}

interface HistoryProps {
  readonly calls: readonly PastCall[];
  readonly onChoose: (form: CallForm) => void;
  readonly onForget: () => void;
}

function History({ calls, onChoose, onForget }: HistoryProps) {
  return (
    <Panel title="Calls from here">
      <p class="hint">
        Kept in this tab until you sign out, without long bodies and what looks like a secret. Choose one to fill in the
        form.
      </p>
      {calls.length === 0 && <p>None yet.</p>}
      <ul class="past-calls">
        {calls.map(({ at, form, status, ms }) => (
          <li key={at}>
            <button type="button" onClick={() => onChoose({ ...NEW_CALL, ...form })}>
              <bdi>
                {form.asynchronous ? "POST" : form.method} {form.path || "/"}
                {form.query === "" ? "" : `?${form.query}`}
              </bdi>
              {form.asynchronous && " by the queue"}
            </button>{" "}
            {status} in {formatMs(ms)}, <Moment at={at} />
          </li>
        ))}
      </ul>
      {calls.length > 0 && (
        <button type="button" onClick={onForget}>
          Forget them
        </button>
      )}
    </Panel>
  );
}
