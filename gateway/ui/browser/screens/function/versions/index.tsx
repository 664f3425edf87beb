import { useState } from "preact/hooks";
import type { ListedRollout, ListedVersions } from "../../../../../../contract/versions/requests.ts";
import { type Act, curlOf } from "../../../act.ts";
import { askJson } from "../../../api.ts";
import { ActButton, ActDialog } from "../../../components/act.tsx";
import { Equivalent } from "../../../components/equivalent.tsx";
import { Failure, Loading } from "../../../components/message.tsx";
import { useAsked } from "../../../components/resource.ts";
import { type Column, Table } from "../../../components/table.tsx";
import { Moment } from "../../../components/time.tsx";
import { session } from "../../../state/session.ts";
import { commandName, type FunctionPart, systemPath } from "../part.ts";
import { callPath, removeVersionAct } from "./acts.ts";
import { RollbackDialog, SplitDialog } from "./dialogs.tsx";
import { Difference } from "./difference.tsx";
import { RolloutPanel } from "./rollout.tsx";
import "../../../styles/run.css";

type ListedVersion = ListedVersions["versions"][number];
type HistoryRow = ListedVersions["history"][number];

/** A function's versions: who has the calls, what is different, and how that has changed. */
export function FunctionVersions(part: FunctionPart) {
  const { name, namespace } = part;
  const key = `${name}.${namespace}`;
  const { value, error, reload } = useAsked(
    key,
    (signal) => askJson<ListedVersions>(systemPath("function", part, "/versions"), { signal }),
    3_000,
  );
  const rollout = useAsked(
    key,
    (signal) => askJson<ListedRollout>(systemPath("function", part, "/rollout"), { signal }),
    1_500,
  );
  const [dialog, setDialog] = useState<"split" | "rollback">();
  const [act, setAct] = useState<Act>();
  if (error !== undefined && !value) return <Failure error={error} />;
  if (!value) return <Loading />;
  const close = (done: boolean) => {
    setDialog(undefined);
    setAct(undefined);
    if (done) {
      reload();
      rollout.reload();
    }
  };
  const { versions, previous, history } = value;
  const columns: readonly Column<ListedVersion>[] = [
    ...VERSION_COLUMNS,
    { id: "tags", title: "Tags", cell: ({ tags }) => <Addresses part={part} tags={tags} /> },
    {
      id: "do",
      title: "Actions",
      cell: ({ version, share }) => (
        <ActButton why={share > 0 ? "It has calls" : undefined} onClick={() => setAct(removeVersionAct(part, version))}>
          Remove
        </ActButton>
      ),
    },
  ];
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      <Table caption="Versions" columns={columns} rows={versions} keyOf={({ version }) => version} id="v" />
      <p class="buttons">
        <ActButton onClick={() => setDialog("split")}>Split traffic</ActButton>
        <ActButton
          why={versions.length < 2 ? "There is one version only" : undefined}
          onClick={() => setDialog("rollback")}
        >
          Roll back{previous === undefined ? "" : ` to ${previous}`}
        </ActButton>
      </p>
      {rollout.value?.rollout && <RolloutPanel part={part} listed={rollout.value} onDone={() => close(true)} />}
      {versions.length > 1 && <Difference part={part} listed={value} />}
      <h2>History</h2>
      <Table
        caption="History"
        columns={HISTORY_COLUMNS}
        rows={history.toReversed()}
        keyOf={({ at, traffic, reason }) => `${at} ${traffic} ${reason}`}
        id="h"
      />
      <Equivalent
        cli={`faaslane versions ${commandName(part)}\nfaaslane rollout status ${commandName(part)}`}
        curl={curlOf({ path: systemPath("function", part, "/versions") })}
      />
      {dialog === "split" && <SplitDialog part={part} listed={value} onClose={close} />}
      {dialog === "rollback" && <RollbackDialog part={part} listed={value} onClose={close} />}
      {act && <ActDialog act={act} onClose={close} />}
    </>
  );
}

const VERSION_COLUMNS: readonly Column<ListedVersion>[] = [
  { id: "version", title: "Version", cell: ({ version, name }) => (name ? `${version} (${name})` : version) },
  { id: "share", title: "Share", numeric: true, cell: ({ share }) => `${share / 100} %` },
  {
    id: "replicas",
    title: "Replicas",
    numeric: true,
    cell: ({ replicas, availableReplicas }) => `${availableReplicas} of ${replicas}`,
  },
  { id: "created", title: "Created", cell: ({ createdAt }) => <Moment at={Date.parse(createdAt)} /> },
  { id: "image", title: "Image", cell: ({ content }) => <code>{content.image}</code> },
];

/** Tags, and where each is called. */
function Addresses({ part, tags }: { readonly part: FunctionPart; readonly tags: readonly string[] }) {
  if (tags.length === 0) return <>–</>;
  return (
    <>
      {tags.map((tag) => (
        <div key={tag}>
          {tag} <code>{callPath(part, tag, session.value?.defaultNamespace ?? "")}</code>
        </div>
      ))}
    </>
  );
}

const HISTORY_COLUMNS: readonly Column<HistoryRow>[] = [
  { id: "at", title: "When", cell: ({ at }) => <Moment at={at} /> },
  { id: "traffic", title: "Traffic", cell: ({ traffic }) => traffic },
  { id: "reason", title: "Reason", cell: ({ reason }) => <bdi>{reason}</bdi> },
  { id: "by", title: "By", cell: ({ by }) => by ?? "–" },
];
