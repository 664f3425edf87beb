import { useState } from "preact/hooks";
import { command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Empty, Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { Table } from "../../components/table.tsx";
import { askedNamespace, EventsArea } from "./area.tsx";
import { type ListedTrigger, TRIGGER_COLUMNS } from "./listed-trigger.tsx";
import { ResourceDialog } from "./resource-dialog.tsx";

/** Who gets which events. */
export function TriggersScreen() {
  return (
    <EventsArea title="Triggers">
      <Triggers />
    </EventsArea>
  );
}

function Triggers() {
  const namespace = askedNamespace();
  const path = withQuery("/system/triggers", { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ListedTrigger[]>(path, { signal }), 3_000);
  const [declares, setDeclares] = useState(false);
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value?.length === 0 && (
        <Empty command="faaslane triggers add ship --type 'order.*' --to ship">No trigger is declared.</Empty>
      )}
      {value && value.length > 0 && (
        <Table caption="Triggers" columns={TRIGGER_COLUMNS} rows={value} keyOf={({ id }) => id} id="t" />
      )}
      <p class="buttons">
        <ActButton onClick={() => setDeclares(true)}>Declare a trigger</ActButton>
      </p>
      <Equivalent cli={command("faaslane", "triggers", ...option("-n", namespace))} curl={curlOf({ path })} />
      {declares && (
        <ResourceDialog
          kind="trigger"
          namespace={namespace}
          example={{}}
          hasForm
          onClose={(done) => {
            setDeclares(false);
            if (done) reload();
          }}
        />
      )}
    </>
  );
}
