import { useState } from "preact/hooks";
import type { FlowReport, RunList, RunSummary } from "../../../../../contract/events/flow-run.ts";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog, send } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field, Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { formatMs } from "../../format.ts";
import { navigate, query, setQuery } from "../../router.ts";
import { session } from "../../state/session.ts";
import { askedNamespace } from "../events/area.tsx";
import { ownerOf } from "../events/owner.ts";
import { declareAct, removeAct, suspendAct } from "../events/resource-acts.ts";
import { ResourceDialog } from "../events/resource-dialog.tsx";
import { UnlessOwned } from "../events/unless-owned.tsx";
import type { Params } from "../screen.ts";
import { readBody, startAct } from "./acts.ts";
import { FlowState, RUN_TONES, WithoutEvents } from "./index.tsx";

type Spec = Readonly<Record<string, unknown>>;

/** One flow: its steps as declared, and its runs. */
export function FlowScreen({ params: { name = "" } }: { readonly params: Params }) {
  return session.value?.features.events === false ? <WithoutEvents title={name} /> : <Flow name={name} />;
}

function Flow({ name }: { readonly name: string }) {
  const namespace = askedNamespace();
  const path = withQuery(`/system/flows/${encodeURIComponent(name)}`, { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<FlowReport>(path, { signal }), 3_000);
  const [act, setAct] = useState<Act>();
  const [dialog, setDialog] = useState<"edit" | "start">();
  const named = { kind: "flow", name, namespace } as const;
  const done = (did: boolean) => {
    setAct(undefined);
    setDialog(undefined);
    if (!did) return;
    if (act?.request.method === "DELETE") navigate(withQuery("/flows", { namespace }));
    else reload();
  };
  const spec = (value?.spec ?? {}) as Spec;
  const open = value?.runs.running ?? 0;
  return (
    <>
      <h1>
        {name} {value && <FlowState flow={value} />}
      </h1>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value && (
        <>
          <p class="buttons">
            <ActButton class="primary" onClick={() => setDialog("start")}>
              Start a run
            </ActButton>
            <UnlessOwned owner={ownerOf({ kind: "flow", ...value })}>
              {spec.suspend === true ? (
                <ActButton onClick={() => setAct(resumeFlow(named, spec))}>Resume</ActButton>
              ) : (
                <ActButton onClick={() => setAct(suspendAct(named, spec))}>Suspend</ActButton>
              )}
              <ActButton onClick={() => setDialog("edit")}>Edit</ActButton>
              <ActButton onClick={() => setAct(removeAct(named, open > 0))}>
                {open > 0 ? `Remove, and cancel ${open} ${open === 1 ? "run" : "runs"}` : "Remove"}
              </ActButton>
            </UnlessOwned>
          </p>
          <h2>Runs</h2>
          <Runs flow={name} namespace={namespace} />
          <Panel title="Declaration">
            <pre>{JSON.stringify(value.spec, null, 2)}</pre>
          </Panel>
        </>
      )}
      <Equivalent
        cli={command("faaslane", "flows", "show", name, ...option("-n", namespace))}
        curl={curlOf({ path })}
      />
      {dialog === "edit" && (
        <ResourceDialog kind="flow" namespace={namespace} example={{}} of={{ name, spec }} onClose={done} />
      )}
      {dialog === "start" && <StartDialog flow={name} namespace={namespace} onClose={() => done(false)} />}
      {act && <ActDialog act={act} onClose={done} />}
    </>
  );
}

function resumeFlow(name: Parameters<typeof declareAct>[0], { suspend: _, ...spec }: Spec): Act {
  return {
    ...declareAct(name, spec, false),
    title: `Resume ${name.name}`,
    action: "Resume",
    effect: "Events that come from now on start runs. Those that came while it was suspended follow too.",
  };
}

function Runs({ flow, namespace }: { readonly flow: string; readonly namespace: string | undefined }) {
  const state = query.value.get("state") ?? "";
  const after = query.value.get("after") ?? "";
  const path = withQuery("/system/flow-runs", { flow, state, after, namespace });
  const { value, error } = useAsked(path, (signal) => askJson<RunList>(path, { signal }), 2_000);
  return (
    <>
      <form class="filters even" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="State"
          value={state}
          options={["", ...Object.keys(RUN_TONES)]}
          onInput={(given) => setQuery("state", given)}
        />
      </form>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.items.length === 0 && (
        <Empty command={command("faaslane", "flows", "run", flow, "--data", "{}")}>There is no such run.</Empty>
      )}
      {value && value.items.length > 0 && (
        <Table caption="Runs" columns={RUN_COLUMNS} rows={value.items} keyOf={({ id }) => id} id="r" />
      )}
      <p class="buttons">
        {after !== "" && (
          <button type="button" onClick={() => setQuery("after", "")}>
            First page
          </button>
        )}
        {value?.next !== undefined && (
          <button type="button" onClick={() => setQuery("after", value.next ?? "")}>
            Next page
          </button>
        )}
      </p>
      <Equivalent
        cli={command("faaslane", "flows", "runs", flow, ...option("--state", state), ...option("-n", namespace))}
        curl={curlOf({ path })}
      />
    </>
  );
}

const RUN_COLUMNS: readonly Column<RunSummary>[] = [
  {
    id: "run",
    title: "Run",
    cell: ({ id, flow }) => <Link to={runScreen(flow, id, askedNamespace())}>{id}</Link>,
  },
  { id: "state", title: "State", cell: ({ state }) => <StateChip tone={RUN_TONES[state]}>{state}</StateChip> },
  { id: "at", title: "Started", cell: ({ startedAt }) => <Moment at={Date.parse(startedAt)} /> },
  { id: "took", title: "Took", numeric: true, cell: ({ durationMs }) => formatMs(durationMs) },
  { id: "step", title: "Step", cell: ({ step, endedAtStep }) => endedAtStep ?? step ?? "–" },
  {
    id: "error",
    title: "Error",
    cell: ({ error }) => (error ? <bdi>{`${error.errorType}: ${error.cause}`}</bdi> : "–"),
  },
];

export function runScreen(flow: string, run: string, namespace: string | undefined): string {
  return withQuery(`/flows/${encodeURIComponent(flow)}/${encodeURIComponent(run)}`, { namespace });
}

function StartDialog({
  flow,
  namespace,
  onClose,
}: {
  readonly flow: string;
  readonly namespace: string | undefined;
  readonly onClose: () => void;
}) {
  const [text, setText] = useState("{}");
  const body = readBody(text);
  const act = startAct(flow, namespace, text);
  return (
    <ActDialog
      act={act}
      isReady={!("problem" in body)}
      run={async () => {
        const { id } = (await (await send(act.request)).json()) as RunSummary;
        navigate(runScreen(flow, id, namespace));
      }}
      onClose={onClose}
    >
      <Field
        label="Body"
        value={text}
        onInput={setText}
        rows={8}
        hint="JSON"
        error={"problem" in body ? body.problem : undefined}
      />
    </ActDialog>
  );
}
