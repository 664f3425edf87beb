import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { FunctionStatus } from "../../../../../contract/functions.ts";
import { askJson } from "../../api.ts";
import { ActButton } from "../../components/act.tsx";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { Moment } from "../../components/time.tsx";
import { formatMs, formatNumber, formatShare } from "../../format.ts";
import { live } from "../../state/live.ts";
import { RemoveDialog, ScaleDialog } from "./actions.tsx";
import { commandName, type FunctionPart, systemPath } from "./part.ts";

export function FunctionOverview(part: FunctionPart) {
  const { name, namespace } = part;
  const { value, error, reload } = useAsked(
    `${name}.${namespace}`,
    (signal) => askJson<FunctionStatus>(systemPath("function", part), { signal }),
    5_000,
  );
  const row = live.functions.value.rows?.get(`${name}.${namespace}`);
  const [dialog, setDialog] = useState<"scale" | "remove">();
  if (error !== undefined && !value) return <Failure error={error} />;
  if (!value) return <Loading />;
  const close = (done: boolean) => {
    setDialog(undefined);
    if (done) reload();
  };
  return (
    <>
      {value.problem !== undefined && (
        <p>
          <StateChip tone="bad">Cannot start</StateChip> {value.problem}
        </p>
      )}
      <div class="panels">
        <Panel title="Now">
          <dl>
            <dt>Replicas</dt>
            <dd>
              {value.availableReplicas ?? 0} ready of {value.replicas ?? 0}
            </dd>
            <dt>Calls</dt>
            <dd>
              {formatNumber(row?.rate ?? 0)}/s, {formatNumber(row?.calls ?? value.invocationCount ?? 0)} ever
            </dd>
            <dt>Errors</dt>
            <dd>{formatShare(row?.errors ?? 0)} of the last minute</dd>
            <dt>95th percentile</dt>
            <dd>{formatMs(row?.p95Ms)}</dd>
            <dt>Under way</dt>
            <dd>{row?.inFlight ?? 0}</dd>
            <dt>Waiting for a replica</dt>
            <dd>{row?.held ?? 0}</dd>
            {row?.traffic !== undefined && (
              <>
                <dt>Traffic</dt>
                <dd>{row.traffic}</dd>
              </>
            )}
          </dl>
          <p class="buttons">
            <ActButton onClick={() => setDialog("scale")}>Scale</ActButton>
            <ActButton class="danger" onClick={() => setDialog("remove")}>
              Remove
            </ActButton>
          </p>
        </Panel>
        <Panel title="Definition">
          <dl>
            <dt>Image</dt>
            <dd>
              <code>{value.image}</code>
            </dd>
            <dt>Deployed</dt>
            <dd>{value.createdAt ? <Moment at={Date.parse(value.createdAt)} /> : "–"}</dd>
            {value.envProcess && (
              <>
                <dt>Process</dt>
                <dd>
                  <code>{value.envProcess}</code>
                </dd>
              </>
            )}
            <dt>Limits</dt>
            <dd>{describe(value.limits)}</dd>
            <dt>Requests</dt>
            <dd>{describe(value.requests)}</dd>
            <dt>Secrets</dt>
            <dd>{value.secrets?.join(", ") || "none"}</dd>
          </dl>
        </Panel>
        <Pairs title="Labels" pairs={value.labels} />
        <Pairs title="Annotations" pairs={value.annotations} />
        <Environment pairs={value.envVars} />
      </div>
      <Equivalent
        cli={`faaslane describe ${commandName(part)}`}
        curl={`curl -u admin:$PASSWORD $GATEWAY${systemPath("function", part)}`}
      />
      {dialog === "scale" && <ScaleDialog part={part} replicas={value.replicas ?? 0} onClose={close} />}
      {dialog === "remove" && <RemoveDialog part={part} onClose={close} />}
    </>
  );
}

function describe(resources: FunctionStatus["limits"]): string {
  const { memory, cpu } = resources ?? {};
  return [memory && `memory ${memory}`, cpu && `CPU ${cpu}`].filter(Boolean).join(", ") || "none";
}

function Pairs({
  title,
  pairs = {},
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
  readonly pairs?: Readonly<Record<string, string>> | undefined;
}) {
  const entries = Object.entries(pairs);
  return (
    <Panel title={title}>
      {entries.length === 0 ? (
        <p class="hint">None</p>
      ) : (
        <dl>
          {entries.map(([key, value]) => (
            <>
              <dt key={key}>{key}</dt>
              <dd>
                <bdi>{value}</bdi>
              </dd>
            </>
          ))}
        </dl>
      )}
      {children}
    </Panel>
  );
}

/** Values may be secrets of those who have not heard of secrets: they are shown when asked for. */
function Environment({ pairs = {} }: { readonly pairs?: Readonly<Record<string, string>> | undefined }) {
  const [shown, setShown] = useState(false);
  const hidden = Object.fromEntries(Object.keys(pairs).map((key) => [key, "••••"]));
  return (
    <Pairs title="Environment" pairs={shown ? pairs : hidden}>
      {Object.keys(pairs).length > 0 && (
        <p class="buttons">
          <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
            {shown ? "Hide values" : "Show values"}
          </button>
        </p>
      )}
    </Pairs>
  );
}
