import { useState } from "preact/hooks";
import type { LogMessage } from "../../../../../contract/logs.ts";
import type { CallDetail } from "../../../../../contract/ui/series.ts";
import { plainLine } from "../../ansi.ts";
import { ApiError, ask, askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { PhaseBar } from "../../components/phase-bar.tsx";
import { useAsked } from "../../components/resource.ts";
import { zone } from "../../components/time.tsx";
import { formatClock, formatMs, formatSize, formatTime } from "../../format.ts";
import { readLines } from "../../read-lines.ts";
import { withQuery } from "../../router.ts";
import { linesOfCall, spanOf } from "./call-parts.ts";
import { Status } from "./call-status.tsx";
import { commandName, type FunctionPart } from "./part.ts";
import { STARTUP_WORDS } from "./startup-words.ts";

const PHASE_WORDS: Readonly<Record<string, string>> = {
  wait: "Waited for a replica",
  connect: "Given to the replica",
  function: "Function, until its answer began",
  answer: "Answer, until its end",
};

/** One call: what it took its time for, its headers, and what was written meanwhile. */
export function OneCall({ id, part }: { readonly id: string; readonly part: FunctionPart }) {
  const path = `/ui/api/calls/${encodeURIComponent(id)}`;
  const { value: call, error } = useAsked(id, (signal) => askJson<CallDetail>(path, { signal }));
  const back = <Link to={withQuery({ call: "" })}>All calls</Link>;
  if (error instanceof ApiError && error.status === 404) {
    return (
      <>
        <p>{back}</p>
        <Empty command={`faaslane logs ${commandName(part)}`}>
          Call {id} is not kept any more, or by another gateway.
        </Empty>
      </>
    );
  }
  if (error !== undefined) return <Failure error={error} />;
  if (!call) return <Loading />;
  const { phases, startup, requestHeaders, responseHeaders } = call;
  return (
    <>
      <p>{back}</p>
      <h2>
        Call <code>{id}</code>
      </h2>
      <div class="panels">
        <Panel title="What happened">
          <Facts call={call} />
        </Panel>
        <Panel title="Where the time went">
          {phases.length > 0 ? (
            <PhaseBar title="Phases of the call" phases={phases} words={PHASE_WORDS} />
          ) : (
            <p>It got to no replica.</p>
          )}
        </Panel>
        {startup && startup.length > 0 && (
          <Panel title="The start that it waited for">
            <PhaseBar title="Phases of the start" phases={startup} words={STARTUP_WORDS} />
          </Panel>
        )}
        <Headers title="Request headers" headers={requestHeaders} />
        <Headers title="Response headers" headers={responseHeaders} />
      </div>
      <CallLog call={call} part={part} />
      <Equivalent
        cli={`faaslane calls show ${id}\nfaaslane logs ${commandName(part)} --no-tail --since-time ${new Date(spanOf(call).since).toISOString()}`}
        curl={`curl -u admin:$PASSWORD "$GATEWAY${path}"`}
      />
    </>
  );
}

function Facts({ call }: { readonly call: CallDetail }) {
  const { id, callId = id, at, method, path, durationMs, cold, asynchronous, event, version, replica, traceId } = call;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Took", formatMs(durationMs)],
    ["Cold start", cold ? "yes, it waited for a replica to start" : "no"],
    ["Asynchronous", asynchronous ? "yes, it came from the queue" : "no"],
    ["Event", event ? "yes, it brought one" : "no"],
    ["Call id", callId],
    ["Request body", call.requestBytes === undefined ? undefined : formatSize(call.requestBytes)],
    ["Answer", call.responseBytes === undefined ? undefined : formatSize(call.responseBytes)],
    ["Version", version],
    ["Replica", replica],
    ["Trace", traceId],
  ];
  return (
    <dl>
      <dt>When</dt>
      <dd>
        <time dateTime={new Date(at).toISOString()}>{formatTime(at, zone.value)}</time>
      </dd>
      <dt>Request</dt>
      <dd>
        {method} <bdi>{path}</bdi>
      </dd>
      <dt>Status</dt>
      <dd>
        <Status call={call} />
      </dd>
      {facts.map(([title, said]) => (
        <>
          <dt key={title}>{title}</dt>
          <dd>{said === undefined ? "–" : <bdi>{said}</bdi>}</dd>
        </>
      ))}
    </dl>
  );
}

function Headers({
  title,
  headers,
}: {
  readonly title: string;
  readonly headers: Readonly<Record<string, string>> | undefined;
}) {
  const pairs = Object.entries(headers ?? {});
  return (
    <Panel title={title}>
      {pairs.length === 0 ? (
        <p>{headers ? "None." : "They were not kept."}</p>
      ) : (
        <dl>
          {pairs.map(([name, text]) => (
            <>
              <dt key={name}>
                <code>{name}</code>
              </dt>
              <dd>
                <bdi>{plainLine(text)}</bdi>
              </dd>
            </>
          ))}
        </dl>
      )}
    </Panel>
  );
}

/** More are not read: a busy function writes them faster than anybody finds the right ones among them. */
const MAX_LINES = 5_000;

function CallLog({ call, part }: { readonly call: CallDetail; readonly part: FunctionPart }) {
  const { name, namespace } = part;
  const [onlyNamed, setOnlyNamed] = useState(false);
  const { value, error } = useAsked(`log ${call.id}`, (signal) => readLog(part, call, signal));
  const named = value?.filter(({ isNamed }) => isNamed) ?? [];
  const shown = onlyNamed ? named : value;
  const isOfReplica = value?.every(({ instance }) => instance === call.replica) ?? false;
  return (
    <Panel title="What was written meanwhile">
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && (
        <p>
          Nothing that is still there. <Link to={`/functions/${namespace}/${name}/logs`}>All lines</Link>
        </p>
      )}
      {named.length > 0 && (
        <p>
          <button type="button" aria-pressed={onlyNamed} onClick={() => setOnlyNamed(!onlyNamed)}>
            Only lines with the call's id
          </button>
        </p>
      )}
      {shown && shown.length > 0 && (
        <>
          <p class="unit">
            {named.length > 0
              ? "Lines with the call's id are its own, and marked; others were written at the same time."
              : `By ${isOfReplica ? "its replica" : "all replicas"} while it ran. What other calls had written at that time is among them.`}
          </p>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
          <pre class="log" tabIndex={0} role="log" aria-live="off" aria-label="Lines of the call">
            {shown.map(({ timestamp, text, isNamed }, at) => (
              <div key={`${at} ${timestamp}`} class={isNamed ? "named" : undefined}>
                <span class="unit">{formatClock(Date.parse(timestamp), zone.value)}</span> {isNamed && <b>• </b>}
                <bdi>{plainLine(text)}</bdi>
              </div>
            ))}
          </pre>
        </>
      )}
    </Panel>
  );
}

async function readLog({ name, namespace }: FunctionPart, call: CallDetail, signal: AbortSignal) {
  const since = new Date(spanOf(call).since).toISOString();
  const answer = await ask(`/system/logs?${new URLSearchParams({ name, namespace, since })}`, { signal });
  const lines: LogMessage[] = [];
  for await (const line of readLines(answer)) {
    if (line.trim() !== "") lines.push(JSON.parse(line) as LogMessage);
    if (lines.length >= MAX_LINES) break;
  }
  return linesOfCall(lines, call);
}
