import { useState } from "preact/hooks";
import { Equivalent } from "../../components/equivalent.tsx";
import { deployCommands } from "../../definition/commands.ts";
import { definitionFrom, emptyForm } from "../../definition/form.ts";
import { session } from "../../state/session.ts";
import { useChoices } from "./choices.ts";
import { DefinitionFields } from "./definition-fields.tsx";
import { Progress } from "./progress.tsx";
import { Refusal } from "./refusal.tsx";
import { SubmitButton } from "./submit-button.tsx";
import { useDeploy } from "./use-deploy.ts";

const NOTHING = { service: "", image: "" };

/** Deploys an image that is there already, with its process. */
export function DeployImage() {
  const [form, setForm] = useState(() => emptyForm(session.value?.defaultNamespace ?? "openfaas-fn"));
  const [busy, setBusy] = useState(false);
  const choices = useChoices(form.namespace);
  const deploying = useDeploy();
  const definition = definitionFrom(form, NOTHING);
  const submit = async () => {
    if (!deploying.check(form)) return;
    setBusy(true);
    await deploying.send(definition, "POST");
    setBusy(false);
  };
  return (
    <>
      {deploying.done && <Progress deployed={deploying.done} key={deploying.done.name} />}
      <form
        class="long-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <DefinitionFields
          form={form}
          onChange={setForm}
          problems={deploying.problems}
          choices={choices}
          imageHint="one that was built here, or of a registry where the platform runs containers"
        />
        <Refusal error={deploying.error} form={form} image={form.image} />
        <SubmitButton busy={busy} words="Deploy" />
        <Equivalent {...deployCommands(definition, "POST")} />
      </form>
    </>
  );
}
