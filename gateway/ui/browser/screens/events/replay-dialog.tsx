import { useState } from "preact/hooks";
import type { ReplayDryRun, ReplayReport } from "../../../../../contract/events/replay-spec.ts";
import { askJson } from "../../api.ts";
import { ActDialog, send } from "../../components/act.tsx";
import { Button } from "../../components/button.tsx";
import { Field } from "../../components/field.tsx";
import { Failure } from "../../components/message.tsx";
import { Moment } from "../../components/time.tsx";
import { formatNumber } from "../../format.ts";
import { EMPTY_REPLAY, type ReplayForm, replayAct, replayProblems, replayRequestOf } from "./replay-form.ts";
import { STATES } from "./states.tsx";

const SELECTION: readonly {
  readonly id: "type" | "source" | "trigger" | "broker" | "since" | "until";
  readonly label: string;
  readonly hint?: string;
}[] = [
  { id: "type", label: "Type of events" },
  { id: "source", label: "Source of events" },
  { id: "trigger", label: "Trigger of events", hint: "function/NAME or trigger/NAME: those that it has looked at" },
  { id: "broker", label: "Broker of events" },
  { id: "since", label: "Arrived since", hint: "1h, or a time such as 2030-01-31T12:00:00Z" },
  { id: "until", label: "Arrived before" },
];

export interface ReplayDialogProps {
  readonly namespace: string | undefined;
  readonly given: Partial<ReplayForm>;
  /** @param name of the replay that has begun; undefined when none has */
  readonly onClose: (name: string | undefined) => void;
}

/** Counts the events by a dry run first; only what was counted can be replayed. */
export function ReplayDialog({ namespace, given, onClose }: ReplayDialogProps) {
  const [form, setForm] = useState<ReplayForm>({ ...EMPTY_REPLAY, ...given });
  const [counted, setCounted] = useState<{ readonly key: string; readonly found: ReplayDryRun }>();
  const [error, setError] = useState<unknown>();
  const [begun, setBegun] = useState<{ name?: string }>({});
  const change = (changed: Partial<ReplayForm>) => setForm({ ...form, ...changed });
  const problems = replayProblems(form);
  const key = JSON.stringify(replayRequestOf({ ...form, name: "", rate: "" }));
  const found = counted?.key === key ? counted.found : undefined;
  const act = replayAct(form, namespace, found?.count);
  const count = async () => {
    setError(undefined);
    try {
      const body = { ...replayRequestOf(form), dryRun: true };
      setCounted({ key, found: await askJson<ReplayDryRun>(act.request.path, { method: "POST", body }) });
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <ActDialog
      act={act}
      isReady={problems.length === 0 && found !== undefined && found.count > 0}
      run={async () => {
        const { name } = (await (await send(act.request)).json()) as ReplayReport;
        begun.name = name;
        setBegun(begun);
      }}
      onClose={(done) => onClose(done ? begun.name : undefined)}
    >
      {form.events.length > 0 ? (
        <p>{form.events.length === 1 ? `The event ${form.events[0]}.` : `${form.events.length} selected events.`}</p>
      ) : (
        <fieldset class="beside">
          <legend>Which events</legend>
          {SELECTION.map(({ id, label, hint }) => (
            <Field
              key={id}
              label={label}
              value={form[id]}
              onInput={(value) => change({ [id]: value })}
              {...(hint !== undefined && { hint })}
            />
          ))}
          <Field
            label="State of events"
            value={form.state}
            options={["", ...STATES]}
            onInput={(state) => change({ state })}
          />
        </fieldset>
      )}
      <Field
        label="To"
        value={form.to}
        onInput={(to) => change({ to })}
        hint="NAME, NAME@v3 or NAME@TAG of a function, or trigger/NAME; empty for their own triggers"
      />
      <Field label="Events a second" value={form.rate} onInput={(rate) => change({ rate })} hint="100 when empty" />
      <Field label="Name" value={form.name} onInput={(name) => change({ name })} hint="e.g. that of an incident" />
      <p>
        <label>
          <input
            type="checkbox"
            checked={form.replies}
            onChange={({ currentTarget }) => change({ replies: currentTarget.checked })}
          />{" "}
          What is answered goes on to the broker
        </label>
      </p>
      {problems.map((problem) => (
        <p key={problem} class="error" role="status">
          {problem}
        </p>
      ))}
      <p>
        <Button why={problems[0]} onClick={() => void count()}>
          Count them
        </Button>{" "}
        {found === undefined && <span class="hint">They are counted before they can be replayed.</span>}
      </p>
      {error !== undefined && <Failure error={error} />}
      {found && <Found found={found} />}
    </ActDialog>
  );
}

function Found({ found: { count, more, deliveries, sample } }: { readonly found: ReplayDryRun }) {
  return (
    <div role="status">
      <p>
        {more && "More than "}
        {formatNumber(count)} {count === 1 ? "event" : "events"} would go out
        {Object.keys(deliveries).length > 0 && ":"}
      </p>
      <ul>
        {Object.entries(deliveries).map(([trigger, times]) => (
          <li key={trigger}>
            <bdi>{trigger}</bdi>: {formatNumber(times)}
          </li>
        ))}
      </ul>
      {sample.length > 0 && (
        <details>
          <summary>The first of them</summary>
          <ul>
            {sample.map(({ ref, type, id, arrivedAt }) => (
              <li key={ref}>
                <bdi>{type}</bdi> {id}, <Moment at={Date.parse(arrivedAt)} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
