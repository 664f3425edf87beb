import "../../styles/form.css";
import { useState } from "preact/hooks";
import { ApiError, askJson } from "../../api.ts";
import { ActButton } from "../../components/act.tsx";
import { Changes } from "../../components/changes.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { deployCommands } from "../../definition/commands.ts";
import { changesBetween, type Definition, definitionOf } from "../../definition/definition.ts";
import { type DefinitionForm, definitionFrom, formOf } from "../../definition/form.ts";
import { query, setQuery } from "../../router.ts";
import { useChoices } from "../deploy/choices.ts";
import { DefinitionFields } from "../deploy/definition-fields.tsx";
import { Progress } from "../deploy/progress.tsx";
import { SubmitButton } from "../deploy/submit-button.tsx";
import { useDeploy } from "../deploy/use-deploy.ts";
import { RemoveDialog, ScaleDialog } from "./actions.tsx";
import { commandName, type FunctionPart, systemPath } from "./part.ts";

type Status = Readonly<Record<string, unknown>>;

/** Changes how a function is deployed, scales and removes it. */
export function FunctionSettings(part: FunctionPart) {
  const { value, error } = useAsked(`${part.name}.${part.namespace}`, (signal) =>
    askJson<Status>(systemPath("function", part), { signal }),
  );
  if (!value) return error === undefined ? <Loading /> : <Failure error={error} />;
  return <SettingsForm part={part} status={value} />;
}

interface SettingsFormProps {
  readonly part: FunctionPart;
  readonly status: Status;
}

function SettingsForm({ part, status }: SettingsFormProps) {
  const { name, namespace } = part;
  const [base, setBase] = useState<Definition>(() => ({ ...definitionOf(status), namespace }));
  const [form, setForm] = useState<DefinitionForm>(() => withImage(formOf(base), query.value.get("image")));
  const [dialog, setDialog] = useState<"send" | "scale" | "remove">();
  const choices = useChoices(namespace);
  const deploying = useDeploy();
  const next = definitionFrom(form, base);
  const changes = changesBetween(base, next);
  const read = async () => ({ ...definitionOf(await askJson<Status>(systemPath("function", part))), namespace });
  const start = (definition: Definition) => {
    setBase(definition);
    setForm(formOf(definition));
    setQuery("image", "");
  };
  const send = async () => {
    const meanwhile = changesBetween(base, await read());
    if (meanwhile.length > 0) {
      const fields = meanwhile.map(({ field }) => field).join(", ");
      throw new ApiError(409, `it has been changed by somebody else meanwhile (${fields}); read it again first`);
    }
    // What the gateway refuses is shown at the fields, behind the dialog.
    if (await deploying.send(next, "PUT")) start(await read().catch(() => next));
  };
  return (
    <>
      {deploying.done && <Progress deployed={deploying.done} />}
      <form
        class="long-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (deploying.check(form)) setDialog("send");
        }}
      >
        <DefinitionFields form={form} onChange={setForm} problems={deploying.problems} choices={choices} isThere />
        {deploying.error !== undefined && <Failure error={deploying.error} />}
        <p class="hint" role="status">
          {changes.length === 0 ? "Nothing is changed." : `${changes.length} changed.`}
        </p>
        <SubmitButton busy={false} words={changes.length === 0 ? "Deploy it again" : "Review the changes"}>
          <button type="button" onClick={() => void read().then(start, deploying.fail)}>
            Read it again
          </button>
        </SubmitButton>
        <Equivalent {...deployCommands(next, "PUT")} />
      </form>
      <Panel title="Now">
        <p>
          {Number(status.availableReplicas ?? 0)} of {Number(status.replicas ?? 0)} replicas were ready when this was
          read.
        </p>
        <p class="acts">
          <ActButton onClick={() => setDialog("scale")}>Scale by hand</ActButton>
          <ActButton class="danger" onClick={() => setDialog("remove")}>
            Remove
          </ActButton>
        </p>
        <Equivalent cli={`faaslane remove ${commandName(part)}`} />
      </Panel>
      {dialog === "send" && (
        <SendDialog name={name} changes={changes} run={send} onClose={() => setDialog(undefined)} />
      )}
      {dialog === "scale" && (
        <ScaleDialog part={part} replicas={Number(status.replicas ?? 0)} onClose={() => setDialog(undefined)} />
      )}
      {dialog === "remove" && <RemoveDialog part={part} onClose={() => setDialog(undefined)} />}
    </>
  );
}

const withImage = (form: DefinitionForm, image: string | null) => (image === null ? form : { ...form, image });

interface SendDialogProps {
  readonly name: string;
  readonly changes: ReturnType<typeof changesBetween>;
  readonly run: () => Promise<void>;
  readonly onClose: () => void;
}

function SendDialog({ name, changes, run, onClose }: SendDialogProps) {
  const isSame = changes.length === 0;
  const word = isSame ? "Deploy again" : "Change";
  return (
    <Dialog title={`${word}: ${name}`} action={word} run={run} onClose={onClose}>
      {isSame ? (
        <p>
          Its image is looked up anew: where the name means another one by now, that makes a new version, whose replicas
          take over once they are ready. Where it does not, nothing changes; its replicas are not restarted.
        </p>
      ) : (
        <>
          <p>
            Image, process, environment, secrets and limits make a new version, whose replicas take over once they are
            ready; calls under way are finished. Labels and other annotations hold at once. Everything that is not
            listed here stays as it is, and the version before can be rolled back to.
          </p>
          <Changes changes={changes} isHidden={(field) => field.startsWith("envVars.")} />
        </>
      )}
    </Dialog>
  );
}
