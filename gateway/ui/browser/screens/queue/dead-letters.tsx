import { useEffect, useRef, useState } from "preact/hooks";
import type { DeadLetterList, DeadLetterReport } from "../../../../../contract/calls.ts";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog, send } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field } from "../../components/field.tsx";
import { Empty, Failure, Loading, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber, formatSize } from "../../format.ts";
import { query, setQuery } from "../../router.ts";
import { now } from "../../state/session.ts";
import { type LetterAct, type LetterFilter, letterAct, matchingAct, selectedAct, splitName } from "./acts.ts";
import { CALL_COLUMNS } from "./call-columns.tsx";
import { countLetters } from "./count-letters.ts";

const EVERY_MS = 5_000;
const DONE = { replay: "queued again", drop: "dropped" } as const;

type Asked =
  | { readonly kind: "one"; readonly what: LetterAct; readonly id: string }
  | { readonly kind: "selected"; readonly what: LetterAct; readonly ids: readonly string[] }
  | { readonly kind: "matching"; readonly what: LetterAct };

/** Calls that are not tried any more: one, some or all that match can be replayed or dropped. */
export function DeadLetters() {
  const filter: LetterFilter = {
    function: query.value.get("function") ?? "",
    since: query.value.get("since") ?? "",
    until: query.value.get("until") ?? "",
  };
  const after = query.value.get("dafter") ?? "";
  const path = withQuery("/system/queue/dead-letters", { ...filter, after, limit: "100" });
  const { value, error, reload } = useAsked(path, (signal) => askJson<DeadLetterList>(path, { signal }), EVERY_MS);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [asked, setAsked] = useState<Asked>();
  const [said, setSaid] = useState<string>();
  const items = value?.items ?? [];
  const chosen = items.filter(({ id }) => selected.has(id)).map(({ id }) => id);
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setSelected(next);
  };
  const close = (count: number | undefined, what: LetterAct) => {
    setAsked(undefined);
    if (count === undefined) return;
    setSaid(`${formatNumber(count)} ${count === 1 ? "call was" : "calls were"} ${DONE[what]}.`);
    setSelected(new Set());
    reload();
  };
  const columns: readonly Column<DeadLetterReport>[] = [
    {
      id: "select",
      title: "Selected",
      cell: ({ id, callId }) => (
        <input type="checkbox" aria-label={`Select ${callId}`} checked={selected.has(id)} onChange={() => toggle(id)} />
      ),
    },
    ...COLUMNS,
    {
      id: "do",
      title: "Actions",
      cell: ({ id }) => (
        <div class="acts">
          <ActButton onClick={() => setAsked({ kind: "one", what: "replay", id })}>Replay</ActButton>
          <ActButton onClick={() => setAsked({ kind: "one", what: "drop", id })}>Drop</ActButton>
        </div>
      ),
    },
  ];
  const nothing = chosen.length === 0 ? "Nothing is selected" : undefined;
  const [name, namespace] = splitName(filter.function);
  return (
    <>
      <h2>Dead letters</h2>
      <form class="filters even" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Failed since"
          type="search"
          value={filter.since}
          onInput={(given) => setQuery("since", given)}
          hint="1h, or a time such as 2030-01-31T12:00:00Z"
        />
        <Field label="Failed before" type="search" value={filter.until} onInput={(given) => setQuery("until", given)} />
      </form>
      {said !== undefined && <Notice>{said}</Notice>}
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value && items.length === 0 && (
        <Empty command="faaslane queue dead-letters">No such call has failed for good.</Empty>
      )}
      {items.length > 0 && (
        <>
          <Table caption="Dead letters" columns={columns} rows={items} keyOf={({ id }) => id} id="d" />
          <p class="buttons">
            <button
              type="button"
              onClick={() => setSelected(new Set(chosen.length === items.length ? [] : items.map(({ id }) => id)))}
            >
              {chosen.length === items.length ? "Select none" : "Select all shown"}
            </button>
            {(["replay", "drop"] as const).map((what) => (
              <ActButton key={what} why={nothing} onClick={() => setAsked({ kind: "selected", what, ids: chosen })}>
                {what === "replay" ? "Replay" : "Drop"} the selected {chosen.length > 0 && `(${chosen.length})`}
              </ActButton>
            ))}
            <ActButton onClick={() => setAsked({ kind: "matching", what: "replay" })}>Replay all that match</ActButton>
            <ActButton onClick={() => setAsked({ kind: "matching", what: "drop" })}>Drop all that match</ActButton>
            {after !== "" && (
              <button type="button" onClick={() => setQuery("dafter", "")}>
                First page
              </button>
            )}
            {value?.next !== undefined && (
              <button type="button" onClick={() => setQuery("dafter", value.next ?? "")}>
                Next page
              </button>
            )}
          </p>
        </>
      )}
      <Equivalent
        cli={command(
          ...["faaslane", "queue", "dead-letters", "list", name === "" ? undefined : name, ...option("-n", namespace)],
          ...[...option("--since", filter.since), ...option("--until", filter.until)],
        )}
        curl={curlOf({ path })}
      />
      {asked?.kind === "one" && (
        <ActDialog act={letterAct(asked.what, asked.id)} onClose={(done) => close(done ? 1 : undefined, asked.what)} />
      )}
      {asked?.kind === "selected" && (
        <ActDialog
          act={selectedAct(asked.what, asked.ids)}
          run={async () => {
            for (const id of asked.ids) await send(letterAct(asked.what, id).request);
          }}
          onClose={(done) => close(done ? asked.ids.length : undefined, asked.what)}
        />
      )}
      {asked?.kind === "matching" && (
        <MatchingDialog what={asked.what} filter={filter} onClose={(count) => close(count, asked.what)} />
      )}
    </>
  );
}

const COLUMNS: readonly Column<DeadLetterReport>[] = [
  ...CALL_COLUMNS,
  { id: "reason", title: "Reason", cell: ({ reason }) => <bdi>{reason}</bdi> },
  { id: "status", title: "Status", numeric: true, cell: ({ status }) => status ?? "–" },
  { id: "attempts", title: "Attempts", numeric: true, cell: ({ attempts }) => attempts },
  { id: "at", title: "Since", cell: ({ diedAt }) => <Moment at={Date.parse(diedAt)} /> },
  { id: "size", title: "Body", numeric: true, cell: ({ bodyBytes }) => formatSize(bodyBytes) },
];

/** Counts them first: the dialog says how many it is about. */
function MatchingDialog({
  what,
  filter,
  onClose,
}: {
  readonly what: LetterAct;
  readonly filter: LetterFilter;
  /** @param count of those that it was done to; undefined when nothing was done */
  readonly onClose: (count: number | undefined) => void;
}) {
  const [act, setAct] = useState<Act>();
  const [error, setError] = useState<unknown>();
  const changed = useRef(0);
  useEffect(() => {
    const leaving = new AbortController();
    const until = new Date(now()).toISOString();
    const counted = { ...filter, until: filter.until === "" ? until : filter.until };
    countLetters(counted, leaving.signal).then(
      (found) => leaving.signal.aborted || setAct(matchingAct(what, filter, { ...found, until })),
      (caught: unknown) => leaving.signal.aborted || setError(caught),
    );
    return () => leaving.abort();
  }, []);
  const shown = act ?? matchingAct(what, filter, { count: 0, more: false, until: "" });
  return (
    <ActDialog
      act={act ? shown : { ...shown, title: "Counting…" }}
      isReady={act !== undefined}
      run={async () => {
        const { count } = (await (await send(shown.request)).json()) as { readonly count: number };
        changed.current = count;
      }}
      onClose={(done) => onClose(done ? changed.current : undefined)}
    >
      {error !== undefined && <Failure error={error} />}
    </ActDialog>
  );
}
