import { useSignal } from "@preact/signals";
import { useState } from "preact/hooks";
import type { ScalingReport, ScalingWhatIf } from "../../../../../../contract/scaling.ts";
import { curlOf, withQuery } from "../../../act.ts";
import { askJson } from "../../../api.ts";
import { Chart } from "../../../components/chart.tsx";
import { Equivalent } from "../../../components/equivalent.tsx";
import { Field } from "../../../components/field.tsx";
import { Empty, Failure, Loading } from "../../../components/message.tsx";
import { useAsked } from "../../../components/resource.ts";
import { type Column, Table } from "../../../components/table.tsx";
import { formatNumber } from "../../../format.ts";
import { navigate, path, query } from "../../../router.ts";
import { live } from "../../../state/live.ts";
import type { FunctionPart } from "../part.ts";
import { FIELDS, readForm, type WhatIfForm, whatIfCommand, whatIfPath, writeForm } from "./what-if-form.ts";

/** What would have been decided in the last hour with other settings; nothing changes by asking. */
export function WhatIf({ part, report }: { readonly part: FunctionPart; readonly report: ScalingReport }) {
  const asked = readForm(query.value);
  const [form, setForm] = useState<WhatIfForm>(asked);
  const to = whatIfPath(asked, part);
  const labels = live.functions.value.rows?.get(`${part.name}.${part.namespace}`)?.labels ?? {};
  const submit = () => {
    const others = [...query.value].filter(([name]) => !name.startsWith("w."));
    navigate(withQuery(path.value, { ...Object.fromEntries(others), ...writeForm(form) }), "replace");
  };
  return (
    <>
      <h2>What if it had other settings</h2>
      <p class="hint">
        What was recorded, an hour at most, is decided over again. Nothing changes by that. What is left empty stays as
        it is.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <div class="filters even">
          {FIELDS.map((name) => (
            <Field
              key={name}
              label={name}
              value={form.settings[name] ?? ""}
              onInput={(value) => setForm({ ...form, settings: { ...form.settings, [name]: value } })}
              hint={`now ${String(report.settings[name] ?? (name === "type" ? report.type : "not set"))}`}
            />
          ))}
          <Field
            label="Other settings"
            value={form.others}
            onInput={(others) => setForm({ ...form, others })}
            hint="up-rate=2 burst=3"
          />
          <Field label="Over the last" value={form.since} onInput={(since) => setForm({ ...form, since })} hint="1h" />
          <Field
            label="A replica starts in"
            value={form.start}
            onInput={(start) => setForm({ ...form, start })}
            hint="1s"
          />
        </div>
        <p class="buttons">
          <button type="submit">Simulate</button>
        </p>
      </form>
      {to !== undefined && <Result to={to} />}
      <Equivalent
        cli={whatIfCommand(asked, part, labels)}
        curl={curlOf({ path: to ?? `/system/scaling/${part.name}/what-if?set=target=20` })}
      />
    </>
  );
}

function Result({ to }: { readonly to: string }) {
  const { value, error } = useAsked(to, (signal) => askJson<ScalingWhatIf>(to, { signal }));
  const moment = useSignal<number | undefined>(undefined);
  if (error !== undefined) return <Failure error={error} />;
  if (!value) return <Loading />;
  const { points, simulated, recorded, type } = value;
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return <Empty>Nothing was recorded in that time.</Empty>;
  const times = {
    from: first.t,
    stepSeconds: Math.max(1, (last.t - first.t) / 1_000 / Math.max(1, points.length - 1)),
    moment,
  };
  const line = (title: string, name: "load" | "wanted" | "ready" | "recorded") => ({
    title,
    values: points.map((point) => point[name]),
  });
  return (
    <>
      <Table
        caption="Simulated and recorded"
        columns={COLUMNS}
        rows={TOTALS.map(({ title, name }) => ({ title, simulated: simulated[name], recorded: recorded[name] }))}
        keyOf={({ title }) => title}
        id="w"
      />
      <Chart
        title="Replicas"
        {...times}
        isStepped
        nothing="No replicas"
        lines={[
          line("ready, simulated", "ready"),
          line("ready, as it was", "recorded"),
          line("wanted, simulated", "wanted"),
        ]}
      />
      <Chart title={`Load by ${type}`} {...times} nothing="No load" lines={[line("load", "load")]} />
    </>
  );
}

const TOTALS = [
  { title: "Calls that waited for a start", name: "coldStarts" },
  { title: "Replica-seconds", name: "replicaSeconds" },
  { title: "Overloaded seconds", name: "overloadedSeconds" },
  { title: "Changes", name: "changes" },
] as const;

interface Compared {
  readonly title: string;
  readonly simulated: number;
  readonly recorded: number;
}

const COLUMNS: readonly Column<Compared>[] = [
  { id: "title", title: "In that time", cell: ({ title }) => title },
  { id: "simulated", title: "Simulated", numeric: true, cell: ({ simulated }) => formatNumber(simulated) },
  { id: "recorded", title: "As it was", numeric: true, cell: ({ recorded }) => formatNumber(recorded) },
];
