import type { PlatformRow } from "../../../../contract/ui/stream.ts";
import { askJson } from "../api.ts";
import { Equivalent } from "../components/equivalent.tsx";
import { Panel } from "../components/field.tsx";
import { Loading } from "../components/message.tsx";
import { useAsked } from "../components/resource.ts";
import { StateChip } from "../components/state-chip.tsx";
import { type Column, Table } from "../components/table.tsx";
import { live } from "../state/live.ts";

interface Info {
  readonly provider: {
    readonly provider?: string;
    readonly orchestration?: string;
    readonly version?: { readonly release?: string };
    readonly features?: readonly string[];
  } | null;
  readonly version: { readonly release?: string; readonly sha?: string };
  readonly arch: string;
}

const TONES = { ok: "good", away: "bad", off: "idle" } as const;
const WORDS = { ok: "Works", away: "Away", off: "Off" } as const;

const COLUMNS: readonly Column<PlatformRow>[] = [
  { id: "part", title: "Part", cell: ({ part }) => part },
  { id: "state", title: "State", cell: ({ state }) => <StateChip tone={TONES[state]}>{WORDS[state]}</StateChip> },
  { id: "kind", title: "Kind", cell: ({ kind, leads }) => [kind, leads && "leads"].filter(Boolean).join(", ") || "–" },
  { id: "problem", title: "Problem", cell: ({ problem }) => problem ?? "–" },
];

export function PlatformScreen() {
  const { rows } = live.platform.value;
  const { value } = useAsked("info", (signal) => askJson<Info>("/system/info", { signal }), 10_000);
  return (
    <>
      <h1>Platform</h1>
      {rows ? (
        <Table caption="Parts" columns={COLUMNS} rows={[...rows.values()]} keyOf={({ part }) => part} />
      ) : (
        <Loading />
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
              {value.provider
                ? `${value.provider.provider} ${value.provider.version?.release ?? ""} on ${value.provider.orchestration}`
                : "cannot be asked"}
            </dd>
            <dt>Machine</dt>
            <dd>{value.arch}</dd>
          </dl>
        </Panel>
      )}
      <Equivalent cli="faaslane version" curl="curl -u admin:$PASSWORD $GATEWAY/system/info" />
    </>
  );
}
