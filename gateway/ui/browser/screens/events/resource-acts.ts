import { type Act, command, option, quote, withQuery } from "../../act.ts";

export type ResourceKind = "broker" | "trigger" | "source" | "sink" | "flow";

export interface ResourceName {
  readonly kind: ResourceKind;
  readonly name: string;
  /** The gateway's own when absent. */
  readonly namespace: string | undefined;
}

/** What removing one does, and what not. */
const REMOVED: Readonly<Record<ResourceKind, string>> = {
  broker:
    "Events that are sent to it are refused from now on. It is not removed while it has something that is not delivered, unless that is dropped.",
  trigger:
    "It gets no events any more, and what it has not delivered is dropped. What it has delivered stays as it is, and events stay in the ledger.",
  source: "It brings no events any more, and how far it had come is forgotten. Events that it has brought stay.",
  sink: "Triggers that deliver there fail from now on. What it was sent stays where it is.",
  flow: "No run begins any more. It is not removed while it has runs under way, unless those are cancelled.",
};

/** What changing one does. */
const CHANGED: Readonly<Record<ResourceKind, string>> = {
  broker: "It counts for what comes from now on; events that are kept stay until their time is over.",
  trigger: "It counts for events that come from now on. Deliveries that are under way go on as they were.",
  source: "It starts anew with these settings. Events that it has brought stay as they are.",
  sink: "What is delivered from now on goes by these settings.",
  flow: "Runs under way go on by the new steps; one at a step that is gone fails.",
};

/** Declares it, or changes it. */
export function declareAct({ kind, name, namespace }: ResourceName, spec: unknown, isNew: boolean): Act {
  const text = JSON.stringify(spec);
  return {
    title: isNew ? `Declare a ${kind}` : `Change ${name}`,
    action: isNew ? "Declare" : "Change",
    effect: isNew ? `The ${kind} is there from now on. ${hint(kind)}` : CHANGED[kind],
    cli: `echo ${quote(text)} | ${command("faaslane", `${kind}s`, "add", name === "" ? "NAME" : name, "--file", "-", ...option("-n", namespace))}`,
    request: { method: "PUT", path: pathOf({ kind, name, namespace }), body: spec },
  };
}

function hint(kind: ResourceKind): string {
  if (kind === "trigger") return "Events that came before do not go to it; a replay can send them.";
  return kind === "source" ? "Secrets are named, never written down." : "Nothing else changes.";
}

/** @param force what keeps it is dropped or cancelled */
export function removeAct({ kind, name, namespace }: ResourceName, force = false): Act {
  const cli = ["faaslane", `${kind}s`, "remove", name, ...option("-n", namespace), force ? "--force" : undefined];
  return {
    title: `Remove ${name}`,
    action: `Remove ${name}`,
    isDangerous: true,
    effect: REMOVED[kind],
    cli: command(...cli),
    request: {
      method: "DELETE",
      path: pathOf({ kind, name, namespace }, { force: force ? "true" : undefined }),
    },
  };
}

/** Of a source, or a trigger that has stopped or is suspended. */
export function resumeAct({ kind, name, namespace }: ResourceName): Act {
  return {
    title: `Resume ${name}`,
    action: "Resume",
    effect:
      kind === "source"
        ? "It goes on where it was. What happened meanwhile is brought as far as the outside still has it."
        : "What has waited for it is delivered, then what comes.",
    cli: command("faaslane", `${kind}s`, "resume", name, ...option("-n", namespace)),
    request: { method: "POST", path: pathOf({ kind, name, namespace }, {}, "/resume") },
  };
}

export function suspendSourceAct({ kind, name, namespace }: ResourceName): Act {
  return {
    title: `Suspend ${name}`,
    action: "Suspend",
    effect: "It brings nothing until it is resumed. Events that it has brought are delivered all the same.",
    cli: command("faaslane", "sources", "suspend", name, ...option("-n", namespace)),
    request: { method: "POST", path: pathOf({ kind, name, namespace }, {}, "/suspend") },
  };
}

/** A trigger or flow as it is, but for this. */
export function suspendAct(name: ResourceName, spec: Readonly<Record<string, unknown>>): Act {
  return {
    ...declareAct(name, { ...spec, suspend: true }, false),
    title: `Suspend ${name.name}`,
    action: "Suspend",
    effect:
      name.kind === "flow"
        ? "No run begins until it is resumed. Runs under way go on."
        : "What it matches waits until it is resumed. Deliveries that are under way go on.",
  };
}

export function pathOf(
  { kind, name, namespace }: ResourceName,
  more: Readonly<Record<string, string | undefined>> = {},
  below = "",
): string {
  return withQuery(`/system/${kind}s/${encodeURIComponent(name)}${below}`, { namespace, ...more });
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** What is wrong with what somebody has written; none when it can be sent. */
export function draftProblems(name: string, text: string): string[] {
  return [
    ...(NAME.test(name) ? [] : ["Name: must be at most 63 of a-z, 0-9 and -, which neither begins nor ends it"]),
    ...("spec" in readDraft(text) ? [] : [`JSON: ${(readDraft(text) as { problem: string }).problem}`]),
  ];
}

/** What is declared, as it is written. */
export function readDraft(text: string): { readonly spec: Record<string, unknown> } | { readonly problem: string } {
  try {
    const spec: unknown = JSON.parse(text);
    if (typeof spec === "object" && spec !== null && !Array.isArray(spec)) {
      return { spec: spec as Record<string, unknown> };
    }
    return { problem: "must be an object" };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
