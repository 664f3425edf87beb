import { useState } from "preact/hooks";
import type { CallDetails } from "../../../../../contract/calls.ts";
import { type Act, command, curlOf, withQuery } from "../../act.ts";
import { plainLine } from "../../ansi.ts";
import { ask, askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Failure, Loading, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import { Moment } from "../../components/time.tsx";
import { formatMs, formatSize } from "../../format.ts";
import type { Params } from "../screen.ts";
import { callbackAct, cancelAct, letterAct } from "./acts.ts";
import { readableText } from "./readable-text.ts";

const TONES: Readonly<Record<CallDetails["state"], Tone>> = {
  waiting: "busy",
  running: "busy",
  done: "good",
  dead: "bad",
  cancelled: "idle",
  expired: "warn",
};
const MOST_BYTES = 64 * 1024;
const EVERY_MS = 3_000;

/** One call: what was sent, and what became of it. */
export function CallScreen({ params: { id = "" } }: { readonly params: Params }) {
  const path = withQuery("/system/queue/call", { id });
  const { value, error, reload } = useAsked(path, (signal) => askJson<CallDetails>(path, { signal }), EVERY_MS);
  const [act, setAct] = useState<Act>();
  const [said, setSaid] = useState<string>();
  if (!value) {
    return (
      <>
        <h1>Call {id}</h1>
        {error === undefined ? <Loading /> : <Failure error={error} />}
        <p>
          <Link to="/queue">All calls</Link>
        </p>
      </>
    );
  }
  const { state, request, callback } = value;
  const isOpen = state === "waiting" || state === "running";
  return (
    <>
      <h1>
        Call {value.callId} <StateChip tone={TONES[state]}>{state}</StateChip>
      </h1>
      {said !== undefined && <Notice>{said}</Notice>}
      {error !== undefined && <Failure error={error} />}
      <div class="panels">
        <Panel title="What became of it">
          <Fate call={value} />
        </Panel>
        {request && (
          <Panel title="What was sent">
            <dl>
              <dt>Request</dt>
              <dd>
                <bdi>
                  {request.method} {request.path || "/"}
                  {request.query === "" ? "" : `?${request.query}`}
                </bdi>
              </dd>
              {request.headers.map(([name, given], at) => (
                <>
                  <dt key={`${name} ${at}`}>{name}</dt>
                  <dd>
                    <bdi>{plainLine(given)}</bdi>
                  </dd>
                </>
              ))}
              {request.callbackUrl !== undefined && (
                <>
                  <dt>Callback</dt>
                  <dd>
                    <bdi>{request.callbackUrl}</bdi>
                  </dd>
                </>
              )}
            </dl>
          </Panel>
        )}
      </div>
      {request ? <Body id={value.id} bytes={request.bodyBytes} /> : <p>Its request is not kept any more.</p>}
      <p class="buttons">
        {isOpen && <ActButton onClick={() => setAct(cancelAct(value.id))}>Cancel the call</ActButton>}
        {state === "dead" && (
          <>
            <ActButton onClick={() => setAct(letterAct("replay", value.id))}>Replay</ActButton>
            <ActButton onClick={() => setAct(letterAct("drop", value.id))}>Drop</ActButton>
          </>
        )}
        {callback && !isOpen && (
          <ActButton onClick={() => setAct(callbackAct(value.id))}>Send the callback again</ActButton>
        )}
      </p>
      <Equivalent cli={command("faaslane", "queue", "show", value.id)} curl={curlOf({ path })} />
      {act && (
        <ActDialog
          act={act}
          onClose={(done) => {
            setAct(undefined);
            if (!done) return;
            setSaid(`Done: ${act.title}.`);
            reload();
          }}
        />
      )}
    </>
  );
}

function Fate({ call }: { readonly call: CallDetails }) {
  const { function: name, namespace, queue, version, attempts, status, durationMs, reason, batch, callback } = call;
  const moments = [
    ["Accepted", call.acceptedAt],
    ["Last attempt", call.startedAt],
    ["Ended", call.finishedAt],
    ["Next attempt", call.nextAttemptAt],
    ["Expires", call.notAfter],
    ["Result kept until", call.resultUntil],
  ] as const;
  return (
    <dl>
      <dt>Function</dt>
      <dd>
        <Link to={`/functions/${namespace}/${name}`}>{`${name}.${namespace}`}</Link>
        {version !== undefined && ` ${version}`}
      </dd>
      <dt>Queue</dt>
      <dd>{queue}</dd>
      <dt>Attempts that have ended</dt>
      <dd>{attempts}</dd>
      {status !== undefined && (
        <>
          <dt>Last answer</dt>
          <dd>
            {status} in {formatMs(durationMs)}
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
      {moments.map(
        ([title, at]) =>
          at !== undefined && (
            <>
              <dt key={title}>{title}</dt>
              <dd>
                <Moment at={Date.parse(at)} />
              </dd>
            </>
          ),
      )}
      {batch && (
        <>
          <dt>Batch</dt>
          <dd>
            {batch.done} of {batch.size} done, {batch.dead} dead, {batch.cancelled} cancelled, {batch.expired} expired
          </dd>
        </>
      )}
      {callback && (
        <>
          <dt>Callback</dt>
          <dd>
            {callback.state} after {callback.tries} tries
            {callback.reason !== undefined && `: ${callback.reason}`}
          </dd>
        </>
      )}
    </dl>
  );
}

/** As text; never as a page. */
function Body({ id, bytes }: { readonly id: string; readonly bytes: number }) {
  const path = withQuery("/system/queue/call/body", { id, limit: String(MOST_BYTES) });
  const { value, error } = useAsked(
    path,
    async (signal) => new Uint8Array(await (await ask(path, { signal })).arrayBuffer()),
  );
  if (bytes === 0) return <p>It has no body.</p>;
  return (
    <Panel title={`Body, ${formatSize(bytes)}`}>
      {error !== undefined && <Failure error={error} />}
      {value && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <pre class="log" tabIndex={0}>
          {readableText(value)}
        </pre>
      )}
      {bytes > MOST_BYTES && <p class="hint">These are the first {formatSize(MOST_BYTES)}.</p>}
      <Equivalent cli={command("faaslane", "queue", "show", id, "--body")} curl={curlOf({ path })} />
    </Panel>
  );
}
