import { useState } from "preact/hooks";
import { ask, askJson } from "../api.ts";
import { Dialog } from "../components/dialog.tsx";
import { Equivalent } from "../components/equivalent.tsx";
import { Field } from "../components/field.tsx";
import { Empty, Failure, Loading } from "../components/message.tsx";
import { useAsked } from "../components/resource.ts";
import { type Column, Table } from "../components/table.tsx";
import { isReadOnly, session } from "../state/session.ts";

interface ListedSecret {
  readonly name: string;
  readonly namespace?: string;
}

type Asked = { readonly what: "create" } | { readonly what: "update" | "remove"; readonly name: string };

/** Secrets by their names; nobody is told their values. */
export function SecretsScreen() {
  const { value, error, reload } = useAsked(
    "secrets",
    (signal) => askJson<ListedSecret[]>("/system/secrets", { signal }),
    10_000,
  );
  const [asked, setAsked] = useState<Asked>();
  const columns: readonly Column<ListedSecret>[] = [
    { id: "name", title: "Secret", sort: ({ name }) => name, cell: ({ name }) => name },
    {
      id: "do",
      title: "Actions",
      cell: ({ name }) => (
        <>
          <button type="button" disabled={isReadOnly.value} onClick={() => setAsked({ what: "update", name })}>
            Change
          </button>{" "}
          <button type="button" disabled={isReadOnly.value} onClick={() => setAsked({ what: "remove", name })}>
            Remove
          </button>
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
      <p>In {session.value?.defaultNamespace}. Values are never shown, here or elsewhere.</p>
      {error !== undefined && !value && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && (
        <Empty command="faaslane secret create api-key --from-literal VALUE">There are no secrets.</Empty>
      )}
      {value && value.length > 0 && (
        <Table caption="Secrets" columns={columns} rows={value} keyOf={({ name }) => name} />
      )}
      <p class="buttons">
        <button type="button" class="primary" disabled={isReadOnly.value} onClick={() => setAsked({ what: "create" })}>
          Create a secret
        </button>
      </p>
      <Equivalent cli="faaslane secret list" curl="curl -u admin:$PASSWORD $GATEWAY/system/secrets" />
      {asked &&
        (asked.what === "remove" ? (
          <Removal name={asked.name} onClose={close} />
        ) : (
          <Writing asked={asked} onClose={close} />
        ))}
    </>
  );
}

function Writing({
  asked,
  onClose,
}: {
  readonly asked:
    | Exclude<Asked, { readonly what: "remove" }>
    | { readonly what: "update" | "remove"; readonly name: string };
  readonly onClose: (done: boolean) => void;
}) {
  const isNew = asked.what === "create";
  const [name, setName] = useState("name" in asked ? asked.name : "");
  const [value, setValue] = useState("");
  const run = () => ask("/system/secrets", { method: isNew ? "POST" : "PUT", body: { name, value } });
  return (
    <Dialog
      title={isNew ? "Create a secret" : `Change ${name}`}
      action={isNew ? "Create" : "Change"}
      isReady={name !== "" && value !== ""}
      run={run}
      onClose={onClose}
    >
      <p>
        {isNew
          ? "Functions that name it get it as a file."
          : "Functions that have it see the new value in their file; those that track it get a new version."}
      </p>
      {isNew && <Field label="Name" value={name} onInput={setName} required />}
      <Field label="Value" type="password" value={value} onInput={setValue} autoComplete="new-password" required />
    </Dialog>
  );
}

function Removal({ name, onClose }: { readonly name: string; readonly onClose: (done: boolean) => void }) {
  return (
    <Dialog
      title={`Remove ${name}`}
      action={`Remove ${name}`}
      isDangerous
      run={() => ask("/system/secrets", { method: "DELETE", body: { name } })}
      onClose={onClose}
    >
      <p>It is refused while a function has it. Its value cannot be had back.</p>
    </Dialog>
  );
}
