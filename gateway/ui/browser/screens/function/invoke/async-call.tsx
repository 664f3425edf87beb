import { useEffect, useState } from "preact/hooks";
import type { CallReport } from "../../../../../../contract/calls.ts";
import { command, curlOf } from "../../../act.ts";
import { askJson } from "../../../api.ts";
import { ActButton, send } from "../../../components/act.tsx";
import { Equivalent } from "../../../components/equivalent.tsx";
import { Link } from "../../../components/link.tsx";
import { Failure } from "../../../components/message.tsx";
import { StateChip, type Tone } from "../../../components/state-chip.tsx";
import { Moment } from "../../../components/time.tsx";
import { formatMs } from "../../../format.ts";
import { type Answer, callFunction } from "./answer.ts";
import { AnswerView } from "./answer-view.tsx";

const TONES: Readonly<Record<CallReport["state"], Tone>> = {
  waiting: "busy",
  running: "busy",
  done: "good",
  dead: "bad",
  cancelled: "idle",
  expired: "warn",
};
/** How long an answer waits for a change. */
const WAIT = "5s";
const PAUSE_MS = 1_000;

const isOpen = ({ state }: CallReport) => state === "waiting" || state === "running";

/** A call that the queue has taken: its state as it changes, then its result. @param id of the queue */
export function AsyncCall({ id, name }: { readonly id: string; readonly name: string }) {
  const path = `/async-function/${encodeURIComponent(id)}`;
  const [report, setReport] = useState<CallReport>();
  const [result, setResult] = useState<Answer>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    follow(path, { signal, onReport: setReport, onResult: setResult }).catch(
      (caught: unknown) => signal.aborted || setError(caught),
    );
    return () => leaving.abort();
  }, [path]);
  const cancel = () => send({ method: "DELETE", path }).catch(setError);
  return (
    <>
      <p>
        Call <code>{id}</code> {report && <StateChip tone={TONES[report.state]}>{report.state}</StateChip>}
      </p>
      {error !== undefined && <Failure error={error} />}
      {report && <Fate report={report} />}
      <p class="acts">
        {report && isOpen(report) && <ActButton onClick={() => void cancel()}>Cancel the call</ActButton>}
        <Link to={`/queue/${encodeURIComponent(id)}`}>In the queue</Link>
      </p>
      {result && <Result result={result} name={name} />}
      <Equivalent
        cli={command("faaslane", "queue", "show", id)}
        curl={`${curlOf({ path: `${path}?wait=30s` })}\n${curlOf({ path: `${path}/result` })}`}
      />
    </>
  );
}

interface Follower {
  readonly signal: AbortSignal;
  readonly onReport: (report: CallReport) => void;
  readonly onResult: (result: Answer) => void;
}

async function follow(path: string, { signal, onReport, onResult }: Follower): Promise<void> {
  for (;;) {
    const report = await askJson<CallReport>(`${path}?wait=${WAIT}`, { signal });
    onReport(report);
    if (!isOpen(report)) break;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (signal.aborted) return;
  }
  onResult(await callFunction(`${path}/result`, { method: "GET", headers: { accept: "*/*" }, signal }));
}

function Fate({ report }: { readonly report: CallReport }) {
  const { attempts, status, durationMs, nextAttemptAt, reason, callback } = report;
  return (
    <dl>
      <dt>Attempts</dt>
      <dd>
        {attempts}
        {status !== undefined && `, the last one answered ${status} in ${formatMs(durationMs)}`}
      </dd>
      {nextAttemptAt !== undefined && isOpen(report) && (
        <>
          <dt>Next one</dt>
          <dd>
            <Moment at={Date.parse(nextAttemptAt)} />
          </dd>
        </>
      )}
      {reason !== undefined && (
        <>
          <dt>Reason</dt>
          <dd>
            <bdi>{reason}</bdi>
          </dd>
        </>
      )}
      {callback && (
        <>
          <dt>Callback</dt>
          <dd>
            {callback.state} after {callback.tries} tries <bdi>{callback.reason}</bdi>
          </dd>
        </>
      )}
    </dl>
  );
}

/** The function's own answer, unless none is kept: the queue says that in its name. */
function Result({ result, name }: { readonly result: Answer; readonly name: string }) {
  const code = result.headers.find(([header]) => header === "x-faaslane-error")?.[1];
  if (code === "no_result") return <p>No result is kept of it.</p>;
  return (
    <>
      <h3>Result</h3>
      <AnswerView answer={result} name={name} isKept />
    </>
  );
}
