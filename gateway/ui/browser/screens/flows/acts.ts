import { type Act, command, option, withQuery } from "../../act.ts";

/** Starts a run. @param text its body, JSON; empty for none */
export function startAct(flow: string, namespace: string | undefined, text: string): Act {
  const body = readBody(text);
  return {
    title: `Start a run of ${flow}`,
    action: "Start",
    effect: "The first step gets this as the data of an event, whatever the flow's broker and filters say.",
    cli: command("faaslane", "flows", "run", flow, ...option("--data", text.trim()), ...option("-n", namespace)),
    request: {
      method: "POST",
      path: withQuery(`/system/flows/${encodeURIComponent(flow)}/runs`, { namespace }),
      ...("body" in body && body.body !== undefined && { body: body.body }),
    },
  };
}

/** What somebody has written as a body. */
export function readBody(text: string): { readonly body: unknown } | { readonly problem: string } {
  if (text.trim() === "") return { body: undefined };
  try {
    return { body: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

export function cancelRunAct(run: string, namespace: string | undefined): Act {
  return {
    title: "Cancel the run",
    action: "Cancel the run",
    isDangerous: true,
    effect: "It ends at once. A function that is at work is not stopped; nothing follows from its answer.",
    cli: command("faaslane", "flows", "cancel", run, ...option("-n", namespace)),
    request: { method: "POST", path: runPath(run, namespace, "/cancel") },
  };
}

/** @param step where it goes on, where that is known */
export function resumeRunAct(run: string, namespace: string | undefined, step: string | undefined): Act {
  return {
    title: "Resume the run",
    action: "Resume",
    effect: `It goes on with ${step === undefined ? "the step that it has stopped at" : `the step ${step}`}, which gets its event once more. Steps before it are not done again; functions are called as they are now.`,
    cli: command("faaslane", "flows", "resume", run, ...option("-n", namespace)),
    request: { method: "POST", path: runPath(run, namespace, "/resume") },
  };
}

export function runPath(run: string, namespace: string | undefined, below = ""): string {
  return withQuery(`/system/flow-runs/${encodeURIComponent(run)}${below}`, { namespace });
}
