import { Empty } from "../../components/message.tsx";
import { EventsArea } from "./area.tsx";
import { DeclaredList } from "./declared-list.tsx";
import { type ListedTrigger, TRIGGER_COLUMNS } from "./listed-trigger.tsx";

/** Who gets which events. */
export function TriggersScreen() {
  return (
    <EventsArea title="Triggers">
      <DeclaredList<ListedTrigger>
        kind="trigger"
        caption="Triggers"
        columns={() => TRIGGER_COLUMNS}
        keyOf={({ id }) => id}
        example={{}}
        hasForm
        empty={<Empty command="faaslane triggers add ship --type 'order.*' --to ship">No trigger is declared.</Empty>}
      />
    </EventsArea>
  );
}
