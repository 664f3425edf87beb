import { useEffect, useRef } from "preact/hooks";
import type { FunctionStatus } from "../../../../../contract/functions.ts";
import { askJson } from "../../api.ts";
import { Link } from "../../components/link.tsx";
import { Failure } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { systemPath } from "../function/part.ts";
import type { Deployed } from "./use-deploy.ts";

const EVERY_MS = 1_000;

/** A function that has just been deployed, until it can be called. */
export function Progress({ deployed }: { readonly deployed: Deployed }) {
  const { name, namespace, warnings } = deployed;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const isReady = useRef(false);
  const { value, error } = useAsked(
    `${name}.${namespace}`,
    (signal) => askJson<FunctionStatus>(systemPath("function", deployed), { signal }),
    isReady.current ? undefined : EVERY_MS,
  );
  const available = value?.availableReplicas ?? 0;
  isReady.current = available > 0;
  const base = `/functions/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  return (
    <section class="panel deploy-progress" aria-label={`Deployment of ${name}`}>
      <h2 ref={heading} tabIndex={-1}>
        {name} is deployed
      </h2>
      <p role="status">{wordsOf(value, available)}</p>
      {value?.problem !== undefined && available === 0 && (
        <p>
          <StateChip tone="bad">Cannot start</StateChip> <bdi>{value.problem}</bdi>
        </p>
      )}
      {error !== undefined && <Failure error={error} />}
      {warnings.map((warning) => (
        <p key={warning}>
          <StateChip tone="warn">Does not hold here</StateChip> {warning}
        </p>
      ))}
      <p>
        <Link to={base}>Open {name}</Link> · <Link to={`${base}/invoke`}>Call it</Link> ·{" "}
        <Link to={`${base}/logs`}>See its logs</Link>
      </p>
    </section>
  );
}

function wordsOf(status: FunctionStatus | undefined, available: number) {
  if (!status) return <StateChip tone="busy">Accepted</StateChip>;
  if (available > 0) {
    return (
      <>
        <StateChip tone="good">Ready</StateChip> {available} of {status.replicas ?? 0} replicas can be called.
      </>
    );
  }
  if ((status.replicas ?? 0) === 0) {
    return (
      <>
        <StateChip tone="idle">Asleep</StateChip> The first call wakes it.
      </>
    );
  }
  return (
    <>
      <StateChip tone="busy">Starting</StateChip> Its first replica is not ready yet.
    </>
  );
}
