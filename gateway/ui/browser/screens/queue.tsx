import { useState } from "preact/hooks";
import type { DeadLetterList, DeadLetterReport } from "../../../../contract/calls.ts";
import type { QueueRow } from "../../../../contract/ui/stream.ts";
import { ask, askJson } from "../api.ts";
import { Dialog } from "../components/dialog.tsx";
import { Equivalent } from "../components/equivalent.tsx";
import { Empty, Failure, Loading, Notice } from "../components/message.tsx";
import { useAsked } from "../components/resource.ts";
import { type Column, Table } from "../components/table.tsx";
import { Moment } from "../components/time.tsx";
import { formatMs, formatNumber } from "../format.ts";
import { live } from "../state/live.ts";
import { isReadOnly } from "../state/session.ts";

type Letter = DeadLetterReport;

const QUEUES: readonly Column<QueueRow>[] = [
  { id: "queue", title: "Queue", cell: ({ queue }) => queue },
  { id: "waiting", title: "Waiting", numeric: true, cell: ({ waiting }) => formatNumber(waiting) },
  { id: "running", title: "Running", numeric: true, cell: ({ running }) => formatNumber(running) },
  { id: "dead", title: "Dead", numeric: true, cell: ({ dead }) => formatNumber(dead) },
  { id: "oldest", title: "Oldest waits", numeric: true, cell: ({ oldestMs }) => formatMs(oldestMs) },
  { id: "in", title: "In/s", numeric: true, cell: ({ published }) => formatNumber(published) },
  { id: "out", title: "Out/s", numeric: true, cell: ({ finished }) => formatNumber(finished) },
];

export function QueueScreen() {
  const { rows, problem } = live.queue.value;
  const letters = useAsked(
    "letters",
    (signal) => askJson<DeadLetterList>("/system/queue/dead-letters?limit=100", { signal }),
    5_000,
  );
  const [asked, setAsked] = useState<{ readonly what: "replay" | "drop"; readonly letter: Letter }>();
  if (!rows) return <Loading />;
  const list = letters.value?.items ?? [];
  const columns: readonly Column<Letter>[] = [
    { id: "function", title: "Function", cell: (letter) => `${letter.function}.${letter.namespace}` },
    { id: "call", title: "Call", cell: ({ callId }) => <code>{callId}</code> },
    { id: "reason", title: "Reason", cell: ({ reason }) => <bdi>{reason}</bdi> },
    { id: "attempts", title: "Attempts", numeric: true, cell: ({ attempts }) => attempts },
    {
      id: "at",
      title: "Since",
      cell: ({ diedAt }) => <Moment at={Date.parse(diedAt)} />,
    },
    {
      id: "do",
      title: "Do",
      cell: (letter) => (
        <>
          <button type="button" disabled={isReadOnly.value} onClick={() => setAsked({ what: "replay", letter })}>
            Replay
          </button>{" "}
          <button type="button" disabled={isReadOnly.value} onClick={() => setAsked({ what: "drop", letter })}>
            Drop
          </button>
        </>
      ),
    },
  ];
  return (
    <>
      <h1>Queue</h1>
      {problem && <Notice>{problem}</Notice>}
      {rows.size === 0 ? (
        <Empty command="echo hello | faaslane invoke NAME --async">No asynchronous call waits or runs.</Empty>
      ) : (
        <Table caption="Queues" columns={QUEUES} rows={[...rows.values()]} keyOf={({ queue }) => queue} id="q" />
      )}
      <h2>Dead letters</h2>
      {letters.error !== undefined && !letters.value && <Failure error={letters.error} />}
      {letters.value && list.length === 0 && <Empty>No call has failed for good.</Empty>}
      {list.length > 0 && <Table caption="Dead letters" columns={columns} rows={list} keyOf={({ id }) => id} id="d" />}
      <Equivalent
        cli={"faaslane queue\nfaaslane queue dead-letters"}
        curl={"curl -u admin:$PASSWORD $GATEWAY/system/queue/dead-letters"}
      />
      {asked && (
        <Dialog
          title={asked.what === "replay" ? "Replay the call" : "Drop the dead letter"}
          action={asked.what === "replay" ? "Replay" : "Drop"}
          isDangerous={asked.what === "drop"}
          run={() =>
            ask(`/system/queue/dead-letters?id=${encodeURIComponent(asked.letter.id)}`, {
              method: asked.what === "replay" ? "POST" : "DELETE",
            })
          }
          onClose={(done) => {
            setAsked(undefined);
            if (done) letters.reload();
          }}
        >
          <p>
            {asked.what === "replay"
              ? "The function runs again with the same request, from its first attempt on. What it did before is not undone."
              : "The request and the reason are forgotten, and it cannot be replayed. The function is not called."}
          </p>
        </Dialog>
      )}
    </>
  );
}
