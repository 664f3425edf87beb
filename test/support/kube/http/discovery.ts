import { groupVersion, type Resource, type ResourceTable } from "../resources.ts";
import type { Fields } from "../types.ts";

const VERSION = {
  major: "1",
  minor: "34",
  gitVersion: "v1.34.0",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "2026-01-01T00:00:00Z",
  goVersion: "go1.24.0",
  compiler: "gc",
  platform: "linux/amd64",
};

/** Answers what the server is and has; undefined when the path is another. */
export function discover(path: string, table: ResourceTable): Fields | undefined {
  if (path === "/version") return VERSION;
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: groupsOf(table) };
  const match = /^\/api(?:s\/([^/]+))?(?:\/([^/]+))?$/.exec(path);
  if (match === null) return undefined;
  const [, group = "", version] = match;
  if (version === undefined) {
    const found = groupsOf(table).find(({ name }) => name === group);
    return found === undefined ? undefined : { kind: "APIGroup", apiVersion: "v1", ...found };
  }
  const resources = table.all.filter((resource) => resource.group === group && resource.version === version);
  if (resources.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: groupVersion({ group, version }),
    resources: resources.flatMap(describe),
  };
}

function groupsOf(table: ResourceTable): { readonly name: string; readonly versions: readonly Fields[] }[] {
  const named = table.all.filter(({ group }) => group !== "");
  return [...Map.groupBy(named, ({ group }) => group)].map(([name, resources]) => {
    const versions = [...new Set(resources.map(groupVersion))].map((full) => ({
      groupVersion: full,
      version: full.slice(full.indexOf("/") + 1),
    }));
    return { name, versions, preferredVersion: versions[0] };
  });
}

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

function describe({ plural, singular, kind, namespaced, shortNames, hasStatus, hasScale }: Resource): Fields[] {
  const own = { name: plural, singularName: singular, namespaced, kind, verbs: VERBS };
  const part = { singularName: "", namespaced, verbs: ["get", "patch", "update"] };
  return [
    shortNames.length === 0 ? own : { ...own, shortNames },
    ...(hasStatus ? [{ ...part, name: `${plural}/status`, kind }] : []),
    ...(hasScale ? [{ ...part, name: `${plural}/scale`, kind: "Scale", group: "autoscaling", version: "v1" }] : []),
    ...(plural === "pods" ? [{ ...part, name: "pods/log", kind, verbs: ["get"] }] : []),
  ];
}
