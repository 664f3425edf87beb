import type { UiGateway, UiGateways, UiWorker } from "../../../../../contract/ui/platform.ts";
import type { PlatformRow } from "../../../../../contract/ui/stream.ts";
import { curlOf } from "../../act.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Failure, Loading } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { StateChip } from "../../components/state-chip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Moment } from "../../components/time.tsx";
import { live } from "../../state/live.ts";
import { Configuration } from "./configuration.tsx";
import "../../styles/run.css";

interface Info {
  readonly provider: {
    readonly provider?: string;
    readonly orchestration?: string;
    readonly version?: { readonly release?: string; readonly sha?: string };
    readonly features?: readonly string[];
  } | null;
  readonly version: { readonly release?: string; readonly sha?: string };
  readonly arch: string;
}

const TONES = { ok: "good", away: "bad", off: "idle" } as const;
const WORDS = { ok: "Works", away: "Away", off: "Off" } as const;
const PLACES: Readonly<Record<string, string>> = { queue: "/queue", events: "/events" };

const PARTS: readonly Column<PlatformRow>[] = [
  {
    id: "part",
    title: "Part",
    cell: ({ part }) => (PLACES[part] === undefined ? part : <Link to={PLACES[part]}>{part}</Link>),
  },
  { id: "state", title: "State", cell: ({ state }) => <StateChip tone={TONES[state]}>{WORDS[state]}</StateChip> },
  { id: "kind", title: "Kind", cell: ({ kind, leads }) => [kind, leads && "leads"].filter(Boolean).join(", ") || "–" },
  { id: "problem", title: "Problem", cell: ({ problem }) => problem ?? "–" },
];

const GATEWAYS: readonly Column<UiGateway>[] = [
  { id: "name", title: "Gateway", cell: ({ name }) => name },
  { id: "release", title: "Release", cell: ({ release }) => release },
  {
    id: "leads",
    title: "Leads",
    cell: ({ leads }) =>
      leads ? <StateChip tone="good">leads</StateChip> : <StateChip tone="idle">follows</StateChip>,
  },
  { id: "threads", title: "Threads", numeric: true, cell: ({ threads }) => threads },
  {
    id: "queue",
    title: "Makes calls of the queue",
    cell: ({ drainsQueue }) => worker(drainsQueue, "queue workers do"),
  },
  { id: "events", title: "Delivers events", cell: ({ deliversEvents }) => worker(deliversEvents, "event workers do") },
  {
    id: "provider",
    title: "Provider",
    cell: ({ hasProvider }) =>
      hasProvider ? <StateChip tone="good">Works</StateChip> : <StateChip tone="bad">Away</StateChip>,
  },
  { id: "at", title: "Started", cell: ({ startedAt }) => <Moment at={startedAt} /> },
];

function worker(own: boolean | undefined, others: string): string {
  return own === undefined ? "–" : own ? "itself" : others;
}

const WORKERS: readonly Column<UiWorker>[] = [
  { id: "name", title: "Worker", cell: ({ name }) => name },
  { id: "kind", title: "Works on", cell: ({ kind }) => (kind === "queue" ? "calls of the queue" : "events") },
  { id: "release", title: "Release", cell: ({ release }) => release },
  {
    id: "state",
    title: "State",
    cell: ({ problem }) =>
      problem === undefined ? <StateChip tone="good">Works</StateChip> : <StateChip tone="bad">{problem}</StateChip>,
  },
  { id: "at", title: "Started", cell: ({ startedAt }) => <Moment at={startedAt} /> },
];

/** What the platform consists of, how each part is, and how this gateway is configured. */
export function PlatformScreen() {
  const { rows } = live.platform.value;
  const { value } = useAsked("info", (signal) => askJson<Info>("/system/info", { signal }), 10_000);
  const gateways = useAsked("gateways", (signal) => askJson<UiGateways>("/ui/api/gateways", { signal }), 5_000);
  return (
    <>
      <h1>Platform</h1>
      {rows ? (
        <Table caption="Parts" columns={PARTS} rows={[...rows.values()]} keyOf={({ part }) => part} id="p" />
      ) : (
        <Loading />
      )}
      <h2>Gateways</h2>
      {gateways.error !== undefined && !gateways.value && <Failure error={gateways.error} />}
      {gateways.value && (
        <>
          <Table
            caption="Gateways"
            columns={GATEWAYS}
            rows={gateways.value.gateways}
            keyOf={({ name }) => name}
            id="g"
          />
          <p class="hint">
            {gateways.value.areShared
              ? "Those that share its NATS with this one, which is the first, and answer it now."
              : "This one is alone: gateways know of each other by a NATS that they share."}
          </p>
          {gateways.value.workers.length > 0 && (
            <>
              <h2>Workers</h2>
              <Table
                caption="Workers"
                columns={WORKERS}
                rows={gateways.value.workers}
                keyOf={({ name }) => name}
                id="w"
              />
            </>
          )}
        </>
      )}
      {value && (
        <Panel title="Versions">
          <dl>
            <dt>Gateway</dt>
            <dd>
              {value.version.release} <code>{value.version.sha?.slice(0, 10)}</code>
            </dd>
            <dt>Provider</dt>
            <dd>
              {value.provider ? (
                <>
                  {`${value.provider.provider} ${value.provider.version?.release ?? ""} on ${value.provider.orchestration}`}{" "}
                  <code>{value.provider.version?.sha?.slice(0, 10)}</code>
                </>
              ) : (
                "cannot be asked"
              )}
            </dd>
            {value.provider?.features && (
              <>
                <dt>It can</dt>
                <dd>{value.provider.features.join(", ")}</dd>
              </>
            )}
            <dt>Machine</dt>
            <dd>{value.arch}</dd>
          </dl>
        </Panel>
      )}
      <Equivalent cli="faaslane version" curl={curlOf({ path: "/system/info" })} />
      <Configuration />
    </>
  );
}
