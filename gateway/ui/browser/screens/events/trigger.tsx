import { useState } from "preact/hooks";
import { type Act, command, curlOf, option, withQuery } from "../../act.ts";
import { askJson } from "../../api.ts";
import { ActButton, ActDialog } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { navigate } from "../../router.ts";
import type { Params } from "../screen.ts";
import { askedNamespace, EventsArea } from "./area.tsx";
import { type ListedTrigger, TriggerState } from "./listed-trigger.tsx";
import { ownerOf } from "./owner.ts";
import { removeAct, resumeAct, suspendAct } from "./resource-acts.ts";
import { ResourceDialog } from "./resource-dialog.tsx";
import { TriggerEvents } from "./trigger-events.tsx";
import { UnlessOwned } from "./unless-owned.tsx";

const EVERY_MS = 3_000;

/** One trigger, and what it did with the latest events. */
export function TriggerScreen({ params: { id = "" } }: { readonly params: Params }) {
  return (
    <EventsArea title={id}>
      <Content id={id} />
    </EventsArea>
  );
}

function Content({ id }: { readonly id: string }) {
  const namespace = askedNamespace();
  const path = withQuery(`/system/triggers/${encodeURIComponent(id)}`, { namespace });
  const { value, error, reload } = useAsked(path, (signal) => askJson<ListedTrigger>(path, { signal }), EVERY_MS);
  const [act, setAct] = useState<Act>();
  const [edits, setEdits] = useState(false);
  if (!value) return error === undefined ? <Loading /> : <Failure error={error} />;
  const { spec, subscriber, broker, deadLetter, open, origin, suspended, stopped } = value;
  const named = { kind: "trigger", name: origin === "trigger" ? value.name : id, namespace } as const;
  // Those of a function have its name, and perhaps a number.
  const functionName = origin === "function" ? value.name.split("/")[0] : undefined;
  const owner = ownerOf({ ...value, kind: "trigger", functionName });
  const done = (did: boolean) => {
    setAct(undefined);
    setEdits(false);
    if (!did) return;
    if (act?.request.method === "DELETE") navigate(withQuery("/events/triggers", { namespace }));
    else reload();
  };
  const [kind, of, name] = subscriber.split("/");
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      <div class="panels">
        <Panel title="Now">
          <dl>
            <dt>State</dt>
            <dd>
              <TriggerState trigger={value} />
            </dd>
            <dt>Broker</dt>
            <dd>{broker ?? "–"}</dd>
            <dt>Goes to</dt>
            <dd>
              {kind === "function" && of !== undefined && name !== undefined ? (
                <Link to={`/functions/${of}/${name.split("@")[0]}/events`}>{subscriber}</Link>
              ) : (
                <bdi>{subscriber}</bdi>
              )}
            </dd>
            <dt>Dead letters go to</dt>
            <dd>
              <bdi>{deadLetter ?? "nobody: they stay in the ledger"}</bdi>
            </dd>
            <dt>Not delivered yet</dt>
            <dd>{open}</dd>
          </dl>
        </Panel>
        {spec && (
          <Panel title="Declaration">
            <pre>{JSON.stringify(spec, null, 2)}</pre>
          </Panel>
        )}
      </div>
      <p class="buttons">
        {(stopped !== undefined || (suspended && !owner)) && (
          <ActButton onClick={() => setAct(resumeAct(named))}>Resume</ActButton>
        )}
        <UnlessOwned owner={owner}>
          {!suspended && <ActButton onClick={() => setAct(suspendAct(named, spec ?? {}))}>Suspend</ActButton>}
          <ActButton onClick={() => setEdits(true)}>Edit</ActButton>
          <ActButton onClick={() => setAct(removeAct(named))}>Remove</ActButton>
        </UnlessOwned>
      </p>
      <h2>Latest events</h2>
      <TriggerEvents trigger={value.id} namespace={value.namespace} />
      <Equivalent
        cli={command("faaslane", "triggers", "show", named.name, ...option("-n", namespace))}
        curl={curlOf({ path })}
      />
      {edits && (
        <ResourceDialog
          kind="trigger"
          namespace={namespace}
          example={{}}
          of={{ name: value.name, spec: spec ?? {} }}
          onClose={done}
        />
      )}
      {act && <ActDialog act={act} onClose={done} />}
    </>
  );
}
