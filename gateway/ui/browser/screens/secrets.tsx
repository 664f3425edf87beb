import "../styles/form.css";
import { useState } from "preact/hooks";
import { command, curlOf, withQuery } from "../act.ts";
import { askJson } from "../api.ts";
import { ActButton, ActDialog, send } from "../components/act.tsx";
import { CheckField } from "../components/check-field.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Equivalent } from "../components/equivalent.tsx";
import { Field } from "../components/field.tsx";
import { Empty, Failure, Loading } from "../components/message.tsx";
import { useAsked } from "../components/resource.ts";
import { type Column, Table } from "../components/table.tsx";
import { query, setQuery } from "../router.ts";
import { session } from "../state/session.ts";

interface ListedSecret {
  readonly name: string;
  readonly namespace?: string;
}

type Asked = { readonly what: "create" } | { readonly what: "update" | "remove"; readonly name: string };

const PATH = "/system/secrets";

/** Secrets of a namespace by their names; nobody is told their values. */
export function SecretsScreen() {
  const fallback = session.value?.defaultNamespace ?? "openfaas-fn";
  const namespace = query.value.get("namespace") ?? fallback;
  const namespaces = useAsked("namespaces", (signal) => askJson<string[] | null>("/system/namespaces", { signal }));
  const path = withQuery(PATH, { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ListedSecret[]>(path, { signal }), 10_000);
  const [asked, setAsked] = useState<Asked>();
  const columns: readonly Column<ListedSecret>[] = [
    { id: "name", title: "Secret", sort: ({ name }) => name, cell: ({ name }) => name },
    {
      id: "do",
      title: "Actions",
      cell: ({ name }) => (
        <>
          <ActButton onClick={() => setAsked({ what: "update", name })}>Change</ActButton>{" "}
          <ActButton onClick={() => setAsked({ what: "remove", name })}>Remove</ActButton>
        </>
      ),
    },
  ];
  const close = (done: boolean) => {
    setAsked(undefined);
    if (done) reload();
  };
  return (
    <>
      <h1>Secrets</h1>
      <p>Values are never shown, here or elsewhere.</p>
      <div class="filters">
        <Field
          label="Namespace"
          value={namespace}
          options={[...new Set([...(namespaces.value ?? []), namespace])]}
          onInput={(next) => setQuery("namespace", next === fallback ? "" : next)}
        />
      </div>
      {error !== undefined && !value && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && (
        <Empty command={command("faaslane", "secret", "create", "api-key", "--from-literal", "VALUE", "-n", namespace)}>
          There are no secrets in {namespace}.
        </Empty>
      )}
      {value && value.length > 0 && (
        <Table caption="Secrets" columns={columns} rows={value} keyOf={({ name }) => name} />
      )}
      <p class="buttons">
        <ActButton class="primary" onClick={() => setAsked({ what: "create" })}>
          Create a secret
        </ActButton>
      </p>
      <Equivalent cli={command("faaslane", "secret", "list", "-n", namespace)} curl={curlOf({ path })} />
      {asked?.what === "remove" && <Removal name={asked.name} namespace={namespace} onClose={close} />}
      {asked && asked.what !== "remove" && (
        <Writing given={asked.what === "create" ? undefined : asked.name} namespace={namespace} onClose={close} />
      )}
    </>
  );
}

interface WritingProps {
  /** Of the one that is changed; a new one when absent. */
  readonly given: string | undefined;
  readonly namespace: string;
  readonly onClose: (done: boolean) => void;
}

function Writing({ given, namespace, onClose }: WritingProps) {
  const isNew = given === undefined;
  const [name, setName] = useState(given ?? "");
  const [value, setValue] = useState("");
  const [isLong, setLong] = useState(false);
  const method = isNew ? "POST" : "PUT";
  return (
    <Dialog
      title={isNew ? "Create a secret" : `Change ${name}`}
      action={isNew ? "Create" : "Change"}
      isReady={name !== "" && value !== ""}
      run={() => send({ method, path: PATH, body: { name, namespace, value } })}
      onClose={onClose}
    >
      <p>
        {isNew
          ? `Functions in ${namespace} that name it get it as a file.`
          : "Functions that have it see the new value in their file; those that track it get a new version."}
      </p>
      {isNew && <Field label="Name" value={name} onInput={setName} required />}
      <Field
        label="Value"
        {...(isLong ? { rows: 6 } : { type: "password" as const })}
        value={value}
        onInput={setValue}
        autoComplete="new-password"
        required
      />
      <CheckField checked={isLong} onChange={setLong}>
        It has several lines; it is shown while it is entered
      </CheckField>
      <Equivalent
        cli={command(
          ...["faaslane", "secret", isNew ? "create" : "update", name || "NAME", "--from-file", "FILE"],
          ...["-n", namespace],
        )}
        curl={curlOf({ method, path: PATH, body: { name: name || "NAME", namespace, value: "VALUE" } })}
      />
    </Dialog>
  );
}

interface RemovalProps {
  readonly name: string;
  readonly namespace: string;
  readonly onClose: (done: boolean) => void;
}

function Removal({ name, namespace, onClose }: RemovalProps) {
  const act = {
    title: `Remove ${name}`,
    action: `Remove ${name}`,
    isDangerous: true,
    effect: "It is refused while a function has it. Its value cannot be had back.",
    cli: command("faaslane", "secret", "remove", name, "-n", namespace),
    request: { method: "DELETE", path: PATH, body: { name, namespace } },
  } as const;
  return <ActDialog act={act} onClose={onClose} />;
}
