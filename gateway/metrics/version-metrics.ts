import type { Registry } from "prom-client";
import { registerHistogram, type Tally } from "../../kit/histogram.ts";
import { register, type Value } from "../../kit/series.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import type { FunctionMeter } from "../proxy/function-meter.ts";

/**
 * The calls and replicas of functions that have or had several versions, each by itself: in the series that OpenFaaS has
 * they are one, and a bad version with few calls would not be seen.
 * @param functions without the versions beside them
 */
export function registerVersionMetrics(registry: Registry, functions: () => readonly FunctionEntry[]): void {
  const meters = () =>
    functions().flatMap((entry) =>
      [...entry.metersByVersion()].map(([version, meter]) => ({
        labels: { function_name: entry.qualifiedName, function_version: version },
        meter,
      })),
    );
  register(
    registry,
    "counter",
    "gateway_function_version_invocation_total",
    "Calls of a version that ended, by status code.",
    () =>
      meters().flatMap(({ labels, meter }) =>
        counted(meter).map(([code, { count }]) => ({ labels: { ...labels, code: `${code}` }, value: count })),
      ),
  );
  const secondsHelp = "Time from the sending of a version's calls to their last byte.";
  registerHistogram(registry, "gateway_function_version_seconds", secondsHelp, () =>
    meters().flatMap(({ labels, meter }) =>
      counted(meter).map(([code, tally]) => ({ labels: { ...labels, code: `${code}` }, tally })),
    ),
  );
  const coldHelp = "Time of a version's calls that waited for a replica, from their arrival to the first byte.";
  registerHistogram(registry, "gateway_function_version_cold_start_seconds", coldHelp, () =>
    meters().flatMap(({ labels, meter: { cold } }) => (cold && cold.count > 0 ? [{ labels, tally: cold }] : [])),
  );
  register(
    registry,
    "counter",
    "gateway_function_version_mirrored_total",
    "Copies of calls that a version got, by how its answers were beside the calls' own.",
    () =>
      meters().flatMap(({ labels, meter: { mirror } }) =>
        [...(mirror?.results ?? [])].map(([result, value]) => ({ labels: { ...labels, result }, value })),
      ),
  );
  const mirrorHelp = "Time until the last byte of answers, of calls that were copied and of their copies.";
  registerHistogram(registry, "gateway_function_version_mirror_seconds", mirrorHelp, () =>
    meters().flatMap(({ labels, meter: { mirror } }) =>
      mirror
        ? [
            { labels: { ...labels, answer: "own" }, tally: mirror.own },
            { labels: { ...labels, answer: "copy" }, tally: mirror.copies },
          ]
        : [],
    ),
  );

  const gauge = (name: string, help: string, value: (entry: FunctionEntry) => number) =>
    register(registry, "gauge", name, help, () =>
      functions().flatMap((owner) => (owner.versionMeters ? owner.all.flatMap((entry) => line(entry, value)) : [])),
    );
  gauge("gateway_function_version_invocation_inflight", "Calls of a version under way.", (e) => e.meter.inFlight);
  gauge("gateway_function_version_replicas", "Replicas wanted of a version.", (e) => e.snapshot.replicas);
  gauge("gateway_function_version_ready_replicas", "Replicas of a version ready to serve.", (e) => e.readyReplicas);
  gauge("gateway_function_version_share", "Part of the function's calls that a version gets.", (e) => e.share);
}

function counted({ codes }: FunctionMeter): [code: number, tally: Tally][] {
  return [...codes].filter(([, { count }]) => count > 0);
}

/** Nothing of a version that sleeps and gets no calls: there may be many that are only kept. */
function line(entry: FunctionEntry, value: (entry: FunctionEntry) => number): Value[] {
  const { version, snapshot, share, meter } = entry;
  const sleeps = snapshot.replicas === 0 && entry.readyReplicas === 0 && share === 0 && meter.inFlight === 0;
  if (version === undefined || (sleeps && entry.isBeside)) return [];
  const labels = { function_name: entry.function.qualifiedName, function_version: version };
  return [{ labels, value: value(entry) }];
}
