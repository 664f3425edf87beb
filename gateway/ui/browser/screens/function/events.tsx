import { command, curlOf, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Empty, Failure, Loading, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { Table } from "../../components/table.tsx";
import { query, setQuery } from "../../router.ts";
import { live } from "../../state/live.ts";
import { session } from "../../state/session.ts";
import { type ListedTrigger, TRIGGER_COLUMNS } from "../events/listed-trigger.tsx";
import { goesTo } from "../events/subscriber.ts";
import { TriggerEvents } from "../events/trigger-events.tsx";
import type { FunctionPart } from "./part.ts";
import "../../styles/run.css";

const EVERY_MS = 3_000;

/** What a function is called for: its triggers, and what each did with the latest events. */
export function FunctionEvents(part: FunctionPart) {
  if (session.value?.features.events === false) {
    return <Notice>{live.events.value.problem ?? "This gateway has no events (events=none)."}</Notice>;
  }
  return <Triggers {...part} />;
}

function Triggers({ name, namespace }: FunctionPart) {
  const path = withQuery("/system/triggers", { namespace });
  const { value, error } = useAsked(path, (signal) => askJson<ListedTrigger[]>(path, { signal }), EVERY_MS);
  if (!value) return error === undefined ? <Loading /> : <Failure error={error} />;
  const own = value.filter(({ subscriber }) => goesTo(subscriber, { name, namespace })).sort(stepsLast);
  const wanted = query.value.get("trigger") ?? own[0]?.id;
  const shown = own.find(({ id }) => id === wanted) ?? own[0];
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {own.length === 0 ? (
        <Empty command={command("faaslane", "triggers", "add", name, "--type", "order.*", "--to", name)}>
          No trigger of this namespace gives it events. Its annotation topic declares one too.
        </Empty>
      ) : (
        <Table caption="Triggers" columns={TRIGGER_COLUMNS} rows={own} keyOf={({ id }) => id} id="t" />
      )}
      {own.length > 1 && (
        <p class="field narrow">
          <label for="shown-trigger">Events of</label>
          <select
            id="shown-trigger"
            value={shown?.id}
            onChange={({ currentTarget }) => setQuery("trigger", currentTarget.value)}
          >
            {own.map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
        </p>
      )}
      {shown && (
        <>
          <h2>Latest events</h2>
          <TriggerEvents key={shown.id} trigger={shown.id} namespace={namespace} />
        </>
      )}
      <Equivalent
        cli={`${command("faaslane", "triggers", "list", "-n", namespace)}\n${command("faaslane", "events", "list", "--function", name, "-n", namespace)}`}
        curl={curlOf({ path })}
      />
    </>
  );
}

/** Steps of flows are behind what the function itself is called for. */
function stepsLast({ origin: one }: ListedTrigger, { origin: other }: ListedTrigger): number {
  return Number(one === "flow") - Number(other === "flow");
}
