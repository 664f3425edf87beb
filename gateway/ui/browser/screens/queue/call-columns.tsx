import { Link } from "../../components/link.tsx";
import type { Column } from "../../components/table.tsx";
import { shorten } from "../../format.ts";

/** Which call it is, in any list of queued ones. */
export const CALL_COLUMNS: readonly Column<{
  readonly function: string;
  readonly namespace: string;
  readonly id: string;
  readonly callId: string;
}>[] = [
  { id: "function", title: "Function", cell: (call) => `${call.function}.${call.namespace}` },
  {
    id: "call",
    title: "Call",
    cell: ({ id, callId }) => (
      <Link to={`/queue/${encodeURIComponent(id)}`}>
        <code title={callId}>{shorten(callId, 13)}</code>
      </Link>
    ),
  },
];
