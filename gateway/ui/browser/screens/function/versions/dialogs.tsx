import { useState } from "preact/hooks";
import type { ListedVersions } from "../../../../../../contract/versions/requests.ts";
import { ActDialog } from "../../../components/act.tsx";
import { Field } from "../../../components/field.tsx";
import { formatNumber } from "../../../format.ts";
import { type EditedTarget, splitProblems, sumOf, targetsOf } from "../../../split-rules.ts";
import { session } from "../../../state/session.ts";
import type { FunctionPart } from "../part.ts";
import { callPath, rollbackAct, splitAct } from "./acts.ts";

export interface VersionDialogProps {
  readonly part: FunctionPart;
  readonly listed: ListedVersions;
  readonly onClose: (done: boolean) => void;
}

/** Shares and tags of all versions; the numbers have to add up. */
export function SplitDialog({ part, listed, onClose }: VersionDialogProps) {
  const [targets, setTargets] = useState<readonly EditedTarget[]>(
    listed.versions.map(({ version, share, tags }) => ({
      version,
      percent: String(share / 100),
      tag: tags.join(", "),
    })),
  );
  const [reason, setReason] = useState("");
  const change = (version: string, changed: Partial<EditedTarget>) =>
    setTargets((all) => all.map((each) => (each.version === version ? { ...each, ...changed } : each)));
  const problems = splitProblems(targets);
  const sum = sumOf(targets);
  const namespace = session.value?.defaultNamespace ?? "";
  return (
    <ActDialog
      act={splitAct(part, targetsOf(targets), { generation: listed.generation, reason })}
      isReady={problems.length === 0}
      onClose={onClose}
    >
      {targets.map(({ version, percent, tag }) => (
        <fieldset key={version} class="beside">
          <legend>{version}</legend>
          <Field label="Percent" value={percent} onInput={(value) => change(version, { percent: value })} />
          <Field
            label="Tags"
            value={tag}
            onInput={(value) => change(version, { tag: value })}
            hint={tag === "" ? "addresses of its own" : callPath(part, tag.split(/[\s,]+/)[0] as string, namespace)}
          />
        </fieldset>
      ))}
      <p>
        Together: <strong>{sum === undefined ? "–" : `${formatNumber(sum)} %`}</strong> of 100 %
      </p>
      <Field label="Reason" value={reason} onInput={setReason} hint="is kept in the history; may be empty" />
      {problems.map((problem) => (
        <p key={problem} class="error" role="status">
          {problem}
        </p>
      ))}
    </ActDialog>
  );
}

/** All calls back to a version, with a reason. */
export function RollbackDialog({ part, listed, onClose }: VersionDialogProps) {
  const names = [
    ...new Set([listed.previous ?? "", ...listed.versions.flatMap(({ version, tags }) => [version, ...tags])]),
  ];
  const [to, setTo] = useState(listed.previous ?? listed.versions.at(-1)?.version ?? "");
  const [reason, setReason] = useState("");
  const [detach, setDetach] = useState(false);
  return (
    <ActDialog
      act={rollbackAct(part, { to, reason, detach })}
      isReady={reason.trim() !== "" && to !== ""}
      onClose={onClose}
    >
      <Field label="To" value={to} options={names.filter((name) => name !== "")} onInput={setTo} />
      <Field label="Reason" value={reason} onInput={setReason} required hint="is kept in the history" />
      <p>
        <label>
          <input type="checkbox" checked={detach} onChange={({ currentTarget }) => setDetach(currentTarget.checked)} />{" "}
          Deploys move no calls afterwards, until a version is promoted or the traffic is reset
        </label>
      </p>
    </ActDialog>
  );
}
