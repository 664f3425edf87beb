import type { CallDetail, CallsAnswer } from "../../../../../contract/ui/series.ts";
import { askJson } from "../../api.ts";
import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { PhaseBar } from "../../components/phase-bar.tsx";
import { useAsked } from "../../components/resource.ts";
import { formatMs } from "../../format.ts";
import { startupParts } from "./call-parts.ts";
import type { FunctionPart } from "./part.ts";
import { STARTUP_WORDS } from "./startup-words.ts";

/** The latest of them say enough. */
const STARTS = 10;
const EVERY_MS = 15_000;

/** What the latest cold starts took their time for. */
export function ColdStarts({ part }: { readonly part: FunctionPart }) {
  const { name, namespace } = part;
  const { value } = useAsked("cold", (signal) => readStarts(part, signal), EVERY_MS);
  const parts = startupParts(value ?? []);
  if (!value || parts.length === 0) return null;
  const longest = Math.max(...parts.map(({ mostMs }) => mostMs));
  return (
    <Panel title="Cold starts by phase">
      <p>
        {value.length === 1
          ? "The latest one."
          : `Medians of the latest ${value.length}; the longest phase of one took ${formatMs(longest)}.`}{" "}
        <Link to={`/functions/${namespace}/${name}/calls?preset=cold`}>Their calls</Link>
      </p>
      <PhaseBar
        title="Cold starts by phase"
        phases={parts.map((each) => ({ name: each.name, ms: each.medianMs }))}
        words={STARTUP_WORDS}
      />
    </Panel>
  );
}

async function readStarts({ name, namespace }: FunctionPart, signal: AbortSignal) {
  const search = new URLSearchParams({ function: `${name}.${namespace}`, preset: "cold", limit: String(STARTS) });
  const { calls } = await askJson<CallsAnswer>(`/ui/api/calls?${search}`, { signal });
  const details = await Promise.all(
    calls.map(({ id }) =>
      askJson<CallDetail>(`/ui/api/calls/${encodeURIComponent(id)}`, { signal }).catch(() => undefined),
    ),
  );
  return details.flatMap((detail) => (detail?.startup && detail.startup.length > 0 ? [detail.startup] : []));
}
