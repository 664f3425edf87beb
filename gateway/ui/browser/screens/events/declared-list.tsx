import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { askedNamespace } from "./area.tsx";
import type { ResourceKind } from "./resource-acts.ts";
import { ResourceDialog } from "./resource-dialog.tsx";

/** What is declared by a name and a spec. */
interface Declared {
  readonly name: string;
  readonly spec?: unknown;
}

/** What can be done with one of the list. */
export interface RowActions {
  edit(): void;
  /** Asks before it is done. */
  ask(act: Act): void;
}

export interface DeclaredListProps<T extends Declared> {
  readonly kind: ResourceKind;
  /** e.g. `Sinks`. */
  readonly caption: string;
  readonly columns: (namespace: string | undefined) => readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  /** Buttons of a row; none of its own when absent. */
  readonly actions?: (row: T, namespace: string | undefined, on: RowActions) => ComponentChildren;
  /** What a new one looks like. */
  readonly example: unknown;
  /** Fields that write a new one's JSON. */
  readonly hasForm?: boolean;
  /** In place of a table of nothing. */
  readonly empty?: ComponentChildren;
  /** Below the table. */
  readonly note?: string;
  readonly everyMs?: number;
}

const EVERY_MS = 3_000;

/** What is declared of a kind, and what declares more of it, or changes it. */
export function DeclaredList<T extends Declared>(props: DeclaredListProps<T>) {
  const { kind, caption, columns, keyOf, actions, example, hasForm = false, empty, note, everyMs = EVERY_MS } = props;
  const namespace = askedNamespace();
  const path = withQuery(`/system/${kind}s`, { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<T[]>(path, { signal }), everyMs);
  const [edited, setEdited] = useState<T | "new">();
  const [act, setAct] = useState<Act>();
  const done = (did: boolean) => {
    setEdited(undefined);
    setAct(undefined);
    if (did) reload();
  };
  const buttons: Column<T> = {
    id: "do",
    title: "Actions",
    cell: (row) => <div class="acts">{actions?.(row, namespace, { edit: () => setEdited(row), ask: setAct })}</div>,
  };
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && empty}
      {value && (value.length > 0 || !empty) && (
        <Table
          caption={caption}
          columns={[...columns(namespace), ...(actions ? [buttons] : [])]}
          rows={value}
          keyOf={keyOf}
          id={kind.charAt(0)}
        />
      )}
      {note !== undefined && <p class="hint">{note}</p>}
      <p class="buttons">
        <ActButton onClick={() => setEdited("new")}>Declare a {kind}</ActButton>
      </p>
      <Equivalent cli={command("faaslane", `${kind}s`, ...option("-n", namespace))} curl={curlOf({ path })} />
      {edited && (
        <ResourceDialog
          kind={kind}
          namespace={namespace}
          example={example}
          hasForm={hasForm}
          {...(edited !== "new" && { of: { name: edited.name, spec: edited.spec ?? {} } })}
          onClose={done}
        />
      )}
      {act && <ActDialog act={act} onClose={done} />}
    </>
  );
}
