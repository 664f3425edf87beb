import "../styles/form.css";
import { useState } from "preact/hooks";
import type { FunctionNamespace } from "../../../../contract/namespaces.ts";
import { type Act, command, curlOf } from "../act.ts";
import { askJson } from "../api.ts";
import { ActButton, ActDialog } from "../components/act.tsx";
import { Equivalent } from "../components/equivalent.tsx";
import { Field, Panel } from "../components/field.tsx";
import { Link } from "../components/link.tsx";
import { Failure, Loading } from "../components/message.tsx";
import { PairsField } from "../components/pairs.tsx";
import { useAsked } from "../components/resource.ts";
import { type Column, Table } from "../components/table.tsx";
import { type Pair, pairProblem, pairsOf, recordOf } from "../definition/form.ts";
import { navigate } from "../router.ts";
import { live } from "../state/live.ts";
import { session } from "../state/session.ts";
import type { Params } from "./screen.ts";

interface Row {
  readonly name: string;
  readonly functions: number;
}

/** What marks a namespace as one for functions; the platform adds it by itself. */
const MARK = "openfaas";

type Asked =
  | { readonly what: "create" }
  | { readonly what: "update"; readonly namespace: FunctionNamespace }
  | { readonly what: "remove"; readonly name: string };

/** Namespaces with their labels and annotations. */
export function NamespacesScreen({ params: { name: chosen } }: { readonly params: Params }) {
  const { value, error, reload } = useAsked(
    "namespaces",
    (signal) => askJson<string[] | null>("/system/namespaces", { signal }),
    10_000,
  );
  const [asked, setAsked] = useState<Asked>();
  const [round, setRound] = useState(0);
  const rows = rowsOf(value ?? []);
  const columns: readonly Column<Row>[] = [
    {
      id: "name",
      title: "Namespace",
      sort: ({ name }) => name,
      cell: ({ name }) => <Link to={`/namespaces/${encodeURIComponent(name)}`}>{name}</Link>,
    },
    { id: "functions", title: "Functions", numeric: true, sort: (row) => row.functions, cell: (row) => row.functions },
    {
      id: "do",
      title: "Actions",
      cell: ({ name }) => (
        <ActButton onClick={() => setAsked({ what: "remove", name })} why={whyNot(name)}>
          Remove<span class="hidden"> {name}</span>
        </ActButton>
      ),
    },
  ];
  const close = (done: boolean) => {
    setAsked(undefined);
    if (!done) return;
    reload();
    setRound((n) => n + 1);
    if (asked?.what === "remove" && asked.name === chosen) navigate("/namespaces");
  };
  return (
    <>
      <h1>Namespaces</h1>
      {error !== undefined && !value && <Failure error={error} />}
      {value === undefined && error === undefined && <Loading />}
      {rows.length > 0 && <Table caption="Namespaces" columns={columns} rows={rows} keyOf={({ name }) => name} />}
      <p class="buttons">
        <ActButton class="primary" onClick={() => setAsked({ what: "create" })}>
          Create a namespace
        </ActButton>
      </p>
      <Equivalent cli="faaslane namespace list" curl={curlOf({ path: "/system/namespaces" })} />
      {chosen !== undefined && (
        <OneNamespace
          key={`${chosen} ${round}`}
          name={chosen}
          onChange={(namespace) => setAsked({ what: "update", namespace })}
        />
      )}
      {asked?.what === "remove" && <ActDialog act={removal(asked.name)} onClose={close} />}
      {asked && asked.what !== "remove" && <WriteDialog asked={asked} onClose={close} />}
    </>
  );
}

function rowsOf(names: readonly string[]): Row[] {
  const counts = new Map<string, number>();
  for (const { namespace } of live.functions.value.rows?.values() ?? []) {
    counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  }
  return names.map((name) => ({ name, functions: counts.get(name) ?? 0 }));
}

function whyNot(name: string): string | undefined {
  return name === session.value?.defaultNamespace ? "The default namespace cannot be removed" : undefined;
}

interface OneNamespaceProps {
  readonly name: string;
  readonly onChange: (namespace: FunctionNamespace) => void;
}

function OneNamespace({ name, onChange }: OneNamespaceProps) {
  const path = `/system/namespace/${encodeURIComponent(name)}`;
  const { value, error } = useAsked(path, (signal) => askJson<FunctionNamespace>(path, { signal }));
  return (
    <Panel title={name}>
      {!value && (error === undefined ? <Loading /> : <Failure error={error} />)}
      {value && (
        <>
          <Marks title="Labels" values={value.labels} />
          <Marks title="Annotations" values={value.annotations} />
          <p class="acts">
            <ActButton onClick={() => onChange(value)}>Change</ActButton>
          </p>
        </>
      )}
      <Equivalent cli={command("faaslane", "namespace", "get", name)} curl={curlOf({ path })} />
    </Panel>
  );
}

function Marks({ title, values = {} }: { readonly title: string; readonly values?: FunctionNamespace["labels"] }) {
  return (
    <>
      <h3>{title}</h3>
      {Object.keys(values).length === 0 && <p>none</p>}
      <dl>
        {Object.entries(values).map(([key, value]) => (
          <>
            <dt key={key}>{key}</dt>
            <dd>
              <bdi>{value}</bdi>
            </dd>
          </>
        ))}
      </dl>
    </>
  );
}

function removal(name: string): Act {
  return {
    title: `Remove ${name}`,
    action: `Remove ${name}`,
    isDangerous: true,
    effect:
      "Its secrets go with it, and cannot be had back. It is refused while functions are in it; other namespaces stay as they are.",
    cli: command("faaslane", "namespace", "remove", name),
    request: { method: "DELETE", path: `/system/namespace/${encodeURIComponent(name)}` },
  };
}

interface WriteDialogProps {
  readonly asked: Exclude<Asked, { readonly what: "remove" }>;
  readonly onClose: (done: boolean) => void;
}

function WriteDialog({ asked, onClose }: WriteDialogProps) {
  const isNew = asked.what === "create";
  const given = isNew ? { name: "" } : asked.namespace;
  const [name, setName] = useState(given.name);
  const [labels, setLabels] = useState<readonly Pair[]>(ownPairs(given.labels));
  const [annotations, setAnnotations] = useState<readonly Pair[]>(ownPairs(given.annotations));
  const [labelProblem, annotationProblem] = [pairProblem(labels), pairProblem(annotations)];
  const isName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);
  const body = { name, labels: recordOf(labels), annotations: recordOf(annotations) };
  const flags = (flag: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
  const act: Act = {
    title: isNew ? "Create a namespace" : `Change ${name}`,
    action: isNew ? "Create" : "Change",
    effect: isNew
      ? "Functions and secrets can be put into it. It begins empty."
      : "Its labels and annotations become these. Functions and secrets in it stay as they are.",
    cli: command(
      ...["faaslane", "namespace", isNew ? "create" : "update", name || "NAME"],
      ...flags("-l", body.labels),
      ...flags("--annotation", body.annotations),
    ),
    request: {
      method: isNew ? "POST" : "PUT",
      path: `/system/namespace/${isNew ? "" : encodeURIComponent(name)}`,
      body,
    },
  };
  return (
    <ActDialog
      act={act}
      isReady={isName && labelProblem === undefined && annotationProblem === undefined}
      onClose={(done) => {
        onClose(done);
        if (done && isNew) navigate(`/namespaces/${encodeURIComponent(name)}`);
      }}
    >
      {isNew && (
        <Field
          label="Name"
          value={name}
          onInput={setName}
          hint="lower-case letters, digits and -"
          error={name === "" || isName ? undefined : "must be lower-case letters, digits and -"}
          required
        />
      )}
      <PairsField label="Labels" pairs={labels} onChange={setLabels} error={labelProblem} />
      <PairsField label="Annotations" pairs={annotations} onChange={setAnnotations} error={annotationProblem} />
    </ActDialog>
  );
}

function ownPairs(values: FunctionNamespace["labels"]): Pair[] {
  return pairsOf(values ?? {}).filter(({ key }) => key !== MARK);
}
