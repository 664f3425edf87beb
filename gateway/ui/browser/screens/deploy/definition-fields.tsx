import "../../styles/form.css";
import { CheckField } from "../../components/check-field.tsx";
import { Field } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { PairsField } from "../../components/pairs.tsx";
import type { DefinitionForm, FieldProblems } from "../../definition/form.ts";
import type { Choices } from "./choices.ts";

export interface DefinitionFieldsProps {
  readonly form: DefinitionForm;
  readonly onChange: (form: DefinitionForm) => void;
  readonly problems: FieldProblems;
  readonly choices: Choices;
  /** It is there already: neither its name nor its namespace can be another. */
  readonly isThere?: boolean;
  readonly imageHint?: string;
}

/** The fields of a function's definition. */
export function DefinitionFields(props: DefinitionFieldsProps) {
  const { form, onChange, problems, choices, isThere, imageHint } = props;
  const set = (next: Partial<DefinitionForm>) => onChange({ ...form, ...next });
  const namespaces = [...new Set([...choices.namespaces, form.namespace])];
  return (
    <>
      {!isThere && (
        <div class="fields-beside">
          <Field
            label="Name"
            value={form.service}
            onInput={(service) => set({ service })}
            error={problems.service}
            hint="lower-case letters, digits and -"
            required
          />
          <Field
            label="Namespace"
            value={form.namespace}
            options={namespaces}
            onInput={(namespace) => set({ namespace, secrets: [] })}
            error={problems.namespace}
          />
        </div>
      )}
      <Field
        label="Image"
        value={form.image}
        onInput={(image) => set({ image })}
        error={problems.image}
        {...(imageHint !== undefined && { hint: imageHint })}
        required
      />
      <Field
        label="Process"
        value={form.envProcess}
        onInput={(envProcess) => set({ envProcess })}
        error={problems.envProcess}
        hint="what is run in place of the image's own, e.g. node index.mjs"
      />
      <PairsField
        label="Environment"
        pairs={form.envVars}
        onChange={(envVars) => set({ envVars })}
        error={problems.envVars}
        hint="Whoever may see the function may see these values; secrets are for what nobody is to see."
        isHidden={isThere ?? false}
      />
      <Secrets {...props} />
      <div class="fields-beside">
        <Field
          label="Least replicas"
          type="number"
          value={form.scaleMin}
          onInput={(scaleMin) => set({ scaleMin })}
          error={problems.scaleMin}
        />
        <Field
          label="Most replicas"
          type="number"
          value={form.scaleMax}
          onInput={(scaleMax) => set({ scaleMax })}
          error={problems.scaleMax}
        />
      </div>
      <PairsField
        label="Labels"
        pairs={form.labels}
        onChange={(labels) => set({ labels })}
        error={problems.labels}
        hint="e.g. com.openfaas.scale.zero, com.openfaas.scale.target"
      />
      <PairsField
        label="Annotations"
        pairs={form.annotations}
        onChange={(annotations) => set({ annotations })}
        error={problems.annotations}
        hint="e.g. topic, schedule, com.faaslane.traffic"
      />
      <div class="fields-beside">
        <Field
          label="Memory at most"
          value={form.limitsMemory}
          onInput={(limitsMemory) => set({ limitsMemory })}
          error={problems.limitsMemory}
          hint="e.g. 128Mi"
        />
        <Field
          label="CPU at most"
          value={form.limitsCpu}
          onInput={(limitsCpu) => set({ limitsCpu })}
          error={problems.limitsCpu}
          hint="e.g. 500m"
        />
        <Field
          label="Memory requested"
          value={form.requestsMemory}
          onInput={(requestsMemory) => set({ requestsMemory })}
          error={problems.requestsMemory}
          hint="e.g. 64Mi"
        />
        <Field
          label="CPU requested"
          value={form.requestsCpu}
          onInput={(requestsCpu) => set({ requestsCpu })}
          error={problems.requestsCpu}
          hint="e.g. 50m"
        />
      </div>
      <CheckField
        checked={form.readOnlyRootFilesystem}
        onChange={(readOnlyRootFilesystem) => set({ readOnlyRootFilesystem })}
      >
        Its own files are read-only
      </CheckField>
    </>
  );
}

function Secrets({ form, onChange, problems, choices }: DefinitionFieldsProps) {
  const all = [...new Set([...choices.secrets, ...form.secrets])].sort();
  const choose = (name: string, isChosen: boolean) => {
    const others = form.secrets.filter((each) => each !== name);
    onChange({ ...form, secrets: isChosen ? [...others, name] : others });
  };
  return (
    <fieldset class="choice-field">
      <legend>Secrets</legend>
      {all.length === 0 && (
        <p class="hint">
          There are none in {form.namespace}.{" "}
          <Link to={`/secrets?namespace=${encodeURIComponent(form.namespace)}`}>Create one</Link>
        </p>
      )}
      {all.map((name) => (
        <CheckField key={name} checked={form.secrets.includes(name)} onChange={(isChosen) => choose(name, isChosen)}>
          {name}
          {!choices.secrets.includes(name) && choices.secrets.length > 0 && " (there is no such secret any more)"}
        </CheckField>
      ))}
      {problems.secrets && <p class="error">{problems.secrets}</p>}
    </fieldset>
  );
}
