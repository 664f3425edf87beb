import { useState } from "preact/hooks";
import { ActDialog } from "../../components/act.tsx";
import { Field } from "../../components/field.tsx";
import { declareAct, draftProblems, type ResourceKind, readDraft } from "./resource-acts.ts";
import { EMPTY_FORM, specOf, type TriggerForm } from "./trigger-form.ts";

export interface ResourceDialogProps {
  readonly kind: ResourceKind;
  readonly namespace: string | undefined;
  /** What is changed; a new one when absent. */
  readonly of?: { readonly name: string; readonly spec: unknown };
  /** What a new one looks like. */
  readonly example: unknown;
  /** Fields that write the JSON, of a new trigger. */
  readonly hasForm?: boolean;
  readonly onClose: (done: boolean) => void;
}

const FIELDS: readonly { readonly id: keyof TriggerForm; readonly label: string; readonly hint?: string }[] = [
  { id: "to", label: "To", hint: "NAME or NAME@v3 of a function, broker/NAME, sink/NAME or a URL" },
  { id: "type", label: "Type of events", hint: "order.created; order.* and *.created do too; empty for any" },
  { id: "source", label: "Source of events", hint: "likewise" },
  { id: "filter", label: "Condition in CESQL", hint: "e.g. EXISTS subject AND region = 'eu'" },
  { id: "broker", label: "Broker", hint: "default when empty" },
  { id: "retry", label: "Tries after the first" },
];

/** Declares something or changes it, as JSON; what is wrong with it is told as it is written, and by the gateway. */
export function ResourceDialog({ kind, namespace, of, example, hasForm, onClose }: ResourceDialogProps) {
  const [name, setName] = useState(of?.name ?? "");
  const [form, setForm] = useState(EMPTY_FORM);
  const [text, setText] = useState(JSON.stringify(of?.spec ?? (hasForm ? specOf(EMPTY_FORM) : example), null, 2));
  const draft = readDraft(text);
  const problems = draftProblems(name, text);
  const change = (changed: Partial<TriggerForm>) => {
    const next = { ...form, ...changed };
    setForm(next);
    setText(JSON.stringify(specOf(next), null, 2));
  };
  const act = declareAct({ kind, name, namespace }, "spec" in draft ? draft.spec : {}, !of);
  return (
    <ActDialog act={act} isReady={problems.length === 0} onClose={onClose}>
      {!of && <Field label="Name" value={name} onInput={setName} required />}
      {hasForm &&
        FIELDS.map(({ id, label, hint }) => (
          <Field
            key={id}
            label={label}
            value={form[id]}
            onInput={(given) => change({ [id]: given })}
            {...(hint !== undefined && { hint })}
          />
        ))}
      <Field
        label="JSON"
        value={text}
        onInput={setText}
        rows={12}
        error={"problem" in draft ? draft.problem : undefined}
        hint="all fields are in the documentation; the gateway names what is wrong with one"
      />
      {(name !== "" || of) &&
        problems.map((problem) => (
          <p key={problem} class="error" role="status">
            {problem}
          </p>
        ))}
    </ActDialog>
  );
}
