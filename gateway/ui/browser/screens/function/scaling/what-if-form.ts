import { command, option, withQuery } from "../../../act.ts";

/** Settings with a field of their own; all others can be written beside. */
export const FIELDS = [
  "type",
  "target",
  "min",
  "max",
  "window",
  "up-delay",
  "down-delay",
  "zero",
  "zero-duration",
] as const;

const PREFIX = "w.";
const OTHERS = "w.others";
const SINCE = "w.since";
const START = "w.start";

export interface WhatIfForm {
  /** By name; empty ones stay as they are. */
  readonly settings: Readonly<Record<string, string>>;
  /** `NAME=VALUE`, several with spaces between. */
  readonly others: string;
  /** How far back, at most an hour. */
  readonly since: string;
  /** How long a replica takes to be ready. */
  readonly start: string;
}

/** As the address says. */
export function readForm(query: Pick<URLSearchParams, "get">): WhatIfForm {
  return {
    settings: Object.fromEntries(FIELDS.map((name) => [name, query.get(PREFIX + name) ?? ""])),
    others: query.get(OTHERS) ?? "",
    since: query.get(SINCE) ?? "",
    start: query.get(START) ?? "",
  };
}

/** What the address has to say of it. */
export function writeForm({ settings, others, since, start }: WhatIfForm): Record<string, string> {
  const fields = Object.entries(settings).map(([name, value]) => [PREFIX + name, value.trim()]);
  return { ...Object.fromEntries(fields), [OTHERS]: others.trim(), [SINCE]: since.trim(), [START]: start.trim() };
}

/** `NAME=VALUE` of all that are other than they are. */
export function changesOf({ settings, others }: WhatIfForm): string[] {
  const named = Object.entries(settings).flatMap(([name, value]) =>
    value.trim() === "" ? [] : [`${name}=${value.trim()}`],
  );
  return [...named, ...others.split(/\s+/).filter((word) => word !== "")];
}

/** Where the gateway is asked; undefined when nothing is asked. */
export function whatIfPath(
  form: WhatIfForm,
  { name, namespace }: { readonly name: string; readonly namespace: string },
): string | undefined {
  const changes = changesOf(form);
  if (changes.length === 0 && form.since === "" && form.start === "") return undefined;
  const base = withQuery(`/system/scaling/${encodeURIComponent(name)}/what-if`, {
    namespace,
    since: form.since,
    start: form.start,
  });
  return base + changes.map((change) => `&set=${encodeURIComponent(change)}`).join("");
}

const LABEL = /^com\.(openfaas|faaslane)\.scale\./;

/** The same with the command line, which decides over a file: it is told all settings that the function has. */
export function whatIfCommand(
  form: WhatIfForm,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  labels: Readonly<Record<string, string>>,
): string {
  const given = Object.entries(labels).flatMap(([label, value]) =>
    LABEL.test(label) ? [[label.replace(LABEL, ""), value]] : [],
  );
  const changes = changesOf(form).map((change) => [
    change.slice(0, change.indexOf("=")),
    change.slice(change.indexOf("=") + 1),
  ]);
  const all = Object.entries(Object.fromEntries([...given, ...changes]) as Record<string, string>);
  const since = form.since === "" ? "1h" : form.since;
  return [
    `${command("faaslane", "scaling", "history", name, "-n", namespace, "--since", since)} |`,
    command(
      ...["faaslane", "scaling", "simulate", "--from", "-"],
      ...all.flatMap(([setting, value]) => ["--set", `${setting}=${value}`]),
      ...option("--start-time", form.start),
    ),
  ].join(" ");
}
