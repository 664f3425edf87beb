import { useState } from "preact/hooks";
import { CALL_PRESETS, type CallPreset, type CallRow, type CallsAnswer } from "../../../../../contract/ui/series.ts";
import { ApiError, askJson } from "../../api.ts";
import { Button } from "../../components/button.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { Short } from "../../components/short.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment, zone } from "../../components/time.tsx";
import { formatClock, formatMs, formatNumber, formatTime } from "../../format.ts";
import { query, setQuery, withQuery } from "../../router.ts";
import "../../styles/calls.css";
import { Status } from "./call-status.tsx";
import { OneCall } from "./one-call.tsx";
import { commandName, type FunctionPart } from "./part.ts";

const WORDS: Readonly<Record<CallPreset, string>> = {
  all: "All calls",
  errors: "Errors",
  slow: "Slow",
  cold: "Cold starts",
};
const NOTHING: Readonly<Record<CallPreset, string>> = {
  all: "No call has ended since calls are kept.",
  errors: "No call has failed since calls are kept.",
  slow: "No call has been slow since calls are kept.",
  cold: "No call has waited for a replica to start since calls are kept.",
};
const EVERY_MS = 2_000;
const PAGE = 50;

/** The latest calls of a function, one of them when the address names it. */
export function FunctionCalls(part: FunctionPart) {
  const id = query.value.get("call");
  if (id) return <OneCall key={id} id={id} part={part} />;
  const asked = query.value.get("preset");
  const preset = CALL_PRESETS.find((each) => each === asked) ?? "all";
  return <CallList key={preset} preset={preset} part={part} />;
}

function callsPath({ name, namespace }: FunctionPart, preset: CallPreset, before?: string): string {
  const search = new URLSearchParams({ function: `${name}.${namespace}`, preset, limit: String(PAGE) });
  if (before !== undefined) search.set("before", before);
  return `/ui/api/calls?${search}`;
}

function CallList({ part, preset }: { readonly part: FunctionPart; readonly preset: CallPreset }) {
  // What was there when somebody paused, with the older ones that were asked for.
  const [held, setHeld] = useState<CallsAnswer>();
  const [failure, setFailure] = useState<unknown>();
  const { value, error } = useAsked(
    "calls",
    (signal) => askJson<CallsAnswer>(callsPath(part, preset), { signal }),
    held ? undefined : EVERY_MS,
  );
  const shown = held ?? value;
  const older = async (from: CallsAnswer) => {
    setFailure(undefined);
    setHeld(from);
    try {
      const more = await askJson<CallsAnswer>(callsPath(part, preset, from.next));
      setHeld({ ...more, calls: [...from.calls, ...more.calls] });
    } catch (caught) {
      setFailure(caught);
    }
  };
  return (
    <>
      <div class="filters">
        <fieldset class="presets">
          <legend class="hidden">Which calls</legend>
          {CALL_PRESETS.map((each) => (
            <button
              type="button"
              key={each}
              aria-pressed={each === preset}
              onClick={() => setQuery("preset", each === "all" ? "" : each)}
            >
              {WORDS[each]}
            </button>
          ))}
        </fieldset>
        <Button
          pressed={held !== undefined}
          why={shown ? undefined : "No calls are shown yet"}
          onClick={() => setHeld(held ? undefined : value)}
        >
          {held ? "Go on" : "Pause"}
        </Button>
      </div>
      {error !== undefined && !shown && <Refusal error={error} />}
      {!shown && error === undefined && <Loading />}
      {shown && shown.calls.length === 0 && (
        <Empty command={`echo hello | faaslane invoke ${commandName(part)}`}>{NOTHING[preset]}</Empty>
      )}
      {shown && shown.calls.length > 0 && (
        <Table caption={WORDS[preset]} columns={COLUMNS} rows={shown.calls} keyOf={({ id }) => id} />
      )}
      {shown && (
        <p class="unit">
          {held && "Paused: newer calls are not shown. "}
          Calls are kept since <Moment at={shown.since} />: while somebody looks, and for a while after; the latest of
          each kind.
          {shown.leftOut !== undefined && (
            <>
              {" "}
              <strong>
                {formatNumber(shown.leftOut)} more {shown.leftOut === 1 ? "was" : "were"} left out
              </strong>
              , as too many came at once: of a second at most 20 ordinary ones are kept, and apart from them 50 that
              failed, were slow or cold.
            </>
          )}
        </p>
      )}
      {failure !== undefined && <Failure error={failure} />}
      {shown?.next !== undefined && (
        <p class="buttons">
          <button type="button" onClick={() => void older(shown)}>
            Older calls
          </button>
        </p>
      )}
      <Equivalent
        cli={`faaslane calls list ${commandName(part)}${preset === "all" ? "" : ` --preset ${preset}`}`}
        curl={`curl -u admin:$PASSWORD "$GATEWAY${callsPath(part, preset)}"`}
      />
    </>
  );
}

/** A gateway may keep none: that is no failure. */
function Refusal({ error }: { readonly error: unknown }) {
  return error instanceof ApiError && error.status === 501 ? (
    <Notice>{error.message}</Notice>
  ) : (
    <Failure error={error} />
  );
}

const COLUMNS: readonly Column<CallRow>[] = [
  {
    id: "at",
    title: "When",
    cell: ({ at, id }) => (
      <Link to={withQuery({ call: id })} title={`${formatTime(at, zone.value)}: call ${id}`}>
        <span class="clock">{formatClock(at, zone.value)}</span>
      </Link>
    ),
  },
  { id: "status", title: "Status", cell: (call) => <Status call={call} /> },
  {
    id: "path",
    title: "Request",
    cell: ({ method, path }) => (
      <>
        {method} <Short text={path} most={48} />
      </>
    ),
  },
  { id: "duration", title: "Took", numeric: true, cell: ({ durationMs }) => formatMs(durationMs) },
  {
    id: "how",
    title: "How",
    cell: ({ cold, asynchronous, event }) =>
      [cold && "cold start", asynchronous && "by the queue", event && "an event"].filter(Boolean).join(", ") || "–",
  },
  { id: "version", title: "Version", cell: ({ version = "–" }) => version },
  { id: "replica", title: "Replica", cell: ({ replica = "–" }) => <Short text={replica} most={24} /> },
];
