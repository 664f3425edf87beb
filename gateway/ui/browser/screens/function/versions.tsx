import { useState } from "preact/hooks";
import type { ListedRollout, ListedVersions } from "../../../../../contract/versions/requests.ts";
import { ask, askJson } from "../../api.ts";
import { Dialog } from "../../components/dialog.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field, Panel } from "../../components/field.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip, type Tone } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { type EditedTarget, splitProblems, targetsOf } from "../../split-rules.ts";
import { isReadOnly } from "../../state/session.ts";
import { commandName, type FunctionPart, systemPath } from "./part.ts";

type ListedVersion = ListedVersions["versions"][number];
type HistoryRow = ListedVersions["history"][number];

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
  if (error !== undefined && !value) return <Failure error={error} />;
  if (!value) return <Loading />;
  const close = (done: boolean) => {
    setDialog(undefined);
    if (done) {
      reload();
      rollout.reload();
    }
  };
  return (
    <>
      <Table
        caption="Versions"
        columns={VERSION_COLUMNS}
        rows={value.versions}
        keyOf={({ version }) => version}
        id="v"
      />
      <p class="buttons">
        <button type="button" disabled={isReadOnly.value} onClick={() => setDialog("split")}>
          Split traffic
        </button>
        <button
          type="button"
          disabled={isReadOnly.value || value.previous === undefined}
          onClick={() => setDialog("rollback")}
        >
          Roll back{value.previous === undefined ? "" : ` to ${value.previous}`}
        </button>
      </p>
      {rollout.value?.rollout && <RolloutPanel part={part} listed={rollout.value} onDone={() => close(true)} />}
      <h2>History</h2>
      <Table
        caption="History"
        columns={HISTORY_COLUMNS}
        rows={value.history.toReversed()}
        keyOf={({ at, traffic }) => `${at} ${traffic}`}
        id="h"
      />
      <Equivalent
        cli={`faaslane versions ${commandName(part)}\nfaaslane traffic ${commandName(part)} v1=90 v2=10\nfaaslane rollback ${commandName(part)}`}
        curl={`curl -u admin:$PASSWORD "$GATEWAY${systemPath("function", part, "/versions")}"`}
      />
      {dialog === "split" && <SplitDialog part={part} listed={value} onClose={close} />}
      {dialog === "rollback" && <RollbackDialog part={part} listed={value} onClose={close} />}
    </>
  );
}

const VERSION_COLUMNS: readonly Column<ListedVersion>[] = [
  { id: "version", title: "Version", cell: ({ version, name }) => (name ? `${version} (${name})` : version) },
  { id: "share", title: "Share", numeric: true, cell: ({ share }) => `${share / 100} %` },
  { id: "tags", title: "Tags", cell: ({ tags }) => tags.join(", ") || "–" },
  {
    id: "replicas",
    title: "Replicas",
    numeric: true,
    cell: ({ replicas, availableReplicas }) => `${availableReplicas} of ${replicas}`,
  },
  { id: "created", title: "Created", cell: ({ createdAt }) => <Moment at={Date.parse(createdAt)} /> },
  { id: "image", title: "Image", cell: ({ content }) => <code>{content.image}</code> },
];

const HISTORY_COLUMNS: readonly Column<HistoryRow>[] = [
  { id: "at", title: "When", cell: ({ at }) => <Moment at={at} /> },
  { id: "traffic", title: "Traffic", cell: ({ traffic }) => traffic },
  { id: "reason", title: "Reason", cell: ({ reason }) => <bdi>{reason}</bdi> },
  { id: "by", title: "By", cell: ({ by }) => by ?? "–" },
];

const TONES: Readonly<Record<string, Tone>> = { done: "good", aborted: "bad", paused: "warn" };

function RolloutPanel({
  part,
  listed: { rollout, problem },
  onDone,
}: {
  readonly part: FunctionPart;
  readonly listed: ListedRollout;
  readonly onDone: () => void;
}) {
  const [error, setError] = useState<unknown>();
  if (!rollout) return null;
  const { phase, from, to, step, settings, reason } = rollout;
  const isOver = phase === "done" || phase === "aborted";
  const act = async (action: string) => {
    setError(undefined);
    try {
      const body = { action, ...(action === "approve" && { step }) };
      await ask(systemPath("function", part, "/rollout"), { method: "POST", body });
      onDone();
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <Panel title={`Rollout of ${to}`}>
      <p>
        <StateChip tone={TONES[phase] ?? "busy"}>{phase}</StateChip> from {from} to {to}
        {!isOver && `, step ${step + 1} of ${settings.steps.length}`}
      </p>
      {reason && (
        <p>
          <bdi>{reason}</bdi>
        </p>
      )}
      {problem && <p>{problem}</p>}
      {!isOver && (
        <p class="buttons">
          {(["approve", "pause", "resume", "promote", "abort"] as const).map((action) => (
            <button
              type="button"
              key={action}
              class={action === "abort" ? "danger" : undefined}
              disabled={isReadOnly.value}
              onClick={() => void act(action)}
            >
              {action}
            </button>
          ))}
        </p>
      )}
      {error !== undefined && <Failure error={error} />}
    </Panel>
  );
}

interface VersionDialogProps {
  readonly part: FunctionPart;
  readonly listed: ListedVersions;
  readonly onClose: (done: boolean) => void;
}

function SplitDialog({ part, listed, onClose }: VersionDialogProps) {
  const [targets, setTargets] = useState<readonly EditedTarget[]>(
    listed.versions.map(({ version, share, tags }) => ({ version, percent: String(share / 100), tag: tags[0] ?? "" })),
  );
  const change = (version: string, changed: Partial<EditedTarget>) =>
    setTargets((all) => all.map((each) => (each.version === version ? { ...each, ...changed } : each)));
  const problems = splitProblems(targets);
  const run = () =>
    ask(systemPath("function", part, "/traffic"), {
      method: "PUT",
      body: { generation: listed.generation, targets: targetsOf(targets), reason: "by the dashboard" },
    });
  return (
    <Dialog
      title={`Split the calls of ${part.name}`}
      action="Split"
      isReady={problems.length === 0}
      run={run}
      onClose={onClose}
    >
      <p>
        Calls go to versions by these shares from now on; a rollout that is under way ends. Replicas of versions that
        lose their calls stay for a while.
      </p>
      {targets.map(({ version, percent, tag }) => (
        <fieldset key={version}>
          <legend>{version}</legend>
          <Field label="Percent" value={percent} onInput={(value) => change(version, { percent: value })} />
          <Field
            label="Tag"
            value={tag}
            onInput={(value) => change(version, { tag: value })}
            hint={tag === "" ? "an address of its own" : `/function/${part.name}@${tag}`}
          />
        </fieldset>
      ))}
      {problems.map((problem) => (
        <p key={problem} class="error" role="status">
          {problem}
        </p>
      ))}
    </Dialog>
  );
}

function RollbackDialog({ part, listed, onClose }: VersionDialogProps) {
  const [reason, setReason] = useState("");
  const run = () => ask(systemPath("function", part, "/rollback"), { method: "POST", body: { reason } });
  return (
    <Dialog
      title={`Roll ${part.name} back to ${listed.previous}`}
      action="Roll back"
      isReady={reason.trim() !== ""}
      run={run}
      onClose={onClose}
    >
      <p>
        All calls go to {listed.previous} at once. What is bound to the function stays as it is: secrets, calls in the
        queue, data that it has written.
      </p>
      <Field label="Reason" value={reason} onInput={setReason} required hint="is kept in the history" />
    </Dialog>
  );
}
