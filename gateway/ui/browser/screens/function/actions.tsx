import { useState } from "preact/hooks";
import { type Act, type ActRequest, command } from "../../act.ts";
import { ActDialog, send } from "../../components/act.tsx";
import { Field } from "../../components/field.tsx";
import { navigate } from "../../router.ts";
import { commandName, type FunctionPart } from "./part.ts";

export interface FunctionDialogProps {
  readonly part: FunctionPart;
  readonly onClose: (done: boolean) => void;
}

/** Sets the number of replicas. */
export function ScaleDialog({ part, replicas, onClose }: FunctionDialogProps & { readonly replicas: number }) {
  const { name, namespace } = part;
  const [wanted, setWanted] = useState(String(replicas));
  const count = Number(wanted);
  const isWhole = wanted !== "" && Number.isInteger(count) && count >= 0;
  const request: ActRequest = {
    method: "POST",
    path: `/system/scale-function/${encodeURIComponent(name)}`,
    body: { serviceName: name, namespace, replicas: count },
  };
  const act: Act = {
    title: `Scale ${name}`,
    action: "Scale",
    effect:
      "It gets so many replicas at once. Autoscaling goes on, and changes the number again when it sees a reason.",
    cli: `faaslane scaling explain ${commandName(part)}  # why it has as many as it has; the number is set as below`,
    request,
  };
  return (
    <ActDialog act={act} isReady={isWhole} onClose={onClose}>
      <Field
        label="Replicas"
        type="number"
        value={wanted}
        onInput={setWanted}
        error={isWhole ? undefined : "must be a whole number from 0"}
      />
    </ActDialog>
  );
}

/** Removes it, and goes to the overview. */
export function RemoveDialog({ part, onClose }: FunctionDialogProps) {
  const { name, namespace } = part;
  const act: Act = {
    title: `Remove ${name}`,
    action: `Remove ${name}`,
    isDangerous: true,
    effect:
      "Its replicas are stopped, and calls get 404. Secrets, images and calls that wait in the queue stay. It can be deployed again.",
    cli: command("faaslane", "remove", name, "-n", namespace),
    request: { method: "DELETE", path: "/system/functions", body: { functionName: name, namespace } },
  };
  return (
    <ActDialog
      act={act}
      run={() => send(act.request)}
      onClose={(done) => {
        onClose(done);
        if (done) navigate("/");
      }}
    />
  );
}
