import { command, curlOf, option } from "../act.ts";
import type { Definition } from "./definition.ts";

/** Stands for a value that is not to be read over somebody's shoulder. */
const HIDDEN = "…";
const HANDLED = new Set([
  ...["service", "image", "namespace", "envProcess", "envVars", "secrets", "labels", "annotations"],
  ...["constraints", "limits", "requests", "readOnlyRootFilesystem"],
]);

/** How to deploy it without the page; values of its environment are left out. */
export function deployCommands(definition: Definition, method: "POST" | "PUT"): { cli: string; curl: string } {
  return {
    cli: cliOf(definition),
    curl: curlOf({ method, path: "/system/functions", body: withoutValues(definition) }),
  };
}

function cliOf(definition: Definition): string {
  const { service, image, namespace, envProcess, readOnlyRootFilesystem } = definition;
  const pairs = (flag: string, values: unknown, isHidden = false) =>
    Object.entries((values ?? {}) as Readonly<Record<string, string>>).flatMap(([key, value]) => [
      flag,
      `${key}=${isHidden ? HIDDEN : value}`,
    ]);
  const each = (flag: string, values: unknown) =>
    ((values ?? []) as readonly string[]).flatMap((value) => [flag, value]);
  const [limits, requests] = [definition.limits, definition.requests] as (
    | Readonly<Record<string, string>>
    | undefined
  )[];
  const line = command(
    ...["faaslane", "deploy", "--name", service, "--image", image],
    ...option("-n", namespace as string | undefined),
    ...option("--fprocess", envProcess as string | undefined),
    ...pairs("-e", definition.envVars, true),
    ...each("--secret", definition.secrets),
    ...pairs("-l", definition.labels),
    ...pairs("--annotation", definition.annotations),
    ...each("--constraint", definition.constraints),
    ...option("--memory-limit", limits?.memory),
    ...option("--cpu-limit", limits?.cpu),
    ...option("--memory-request", requests?.memory),
    ...option("--cpu-request", requests?.cpu),
    ...(readOnlyRootFilesystem ? ["--readonly"] : []),
  );
  const others = Object.keys(definition).filter((field) => !HANDLED.has(field));
  return others.length === 0 ? line : `${line}\n# ${others.join(", ")}: not by a flag`;
}

function withoutValues(definition: Definition): Definition {
  const names = Object.keys((definition.envVars ?? {}) as object);
  if (names.length === 0) return definition;
  return { ...definition, envVars: Object.fromEntries(names.map((name) => [name, HIDDEN])) };
}
