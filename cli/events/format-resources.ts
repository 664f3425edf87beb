import type { ListedResource } from "../../contract/events/listed-resource.ts";
import type { StackResourceKind } from "../stack/types.ts";
import { formatTable } from "../table.ts";

/** A column, and what a resource has there. */
type Column = readonly [title: string, cell: (resource: ListedResource) => unknown];

const NAME: Column = ["NAME", ({ name }) => name];
const statusOf = ({ status }: ListedResource) => (isObject(status) ? status : {});
const specOf = ({ spec }: ListedResource): Readonly<Record<string, unknown>> => spec ?? {};
const problemOf = (resource: ListedResource) => resource.problem ?? statusOf(resource).problem;

const COLUMNS: Readonly<Record<StackResourceKind, readonly Column[]>> = {
  broker: [
    NAME,
    ["EVENTS", ({ events }) => events],
    ["BYTES", ({ bytes }) => bytes],
    ["OPEN", ({ open }) => open],
    ["DEAD", ({ dead }) => dead],
    ["PATH", ({ path }) => path],
  ],
  trigger: [
    NAME,
    ["BY", ({ origin }) => origin],
    ["BROKER", ({ broker }) => broker],
    ["SUBSCRIBER", ({ subscriber }) => subscriber],
    ["STATE", stateOfTrigger],
    ["OPEN", ({ open }) => open],
    ["PROBLEM", (trigger) => trigger.problem ?? trigger.stopped],
  ],
  source: [
    NAME,
    ["TYPE", (source) => specOf(source).type],
    ["BROKER", (source) => specOf(source).broker],
    ["STATE", (source) => statusOf(source).state],
    ["EVENTS", (source) => statusOf(source).events],
    ["ERRORS", (source) => statusOf(source).errors],
    ["LAG", (source) => statusOf(source).lag],
    ["LAST EVENT", (source) => timeOf(statusOf(source).lastEventAt)],
    ["PROBLEM", problemOf],
  ],
  sink: [
    NAME,
    ["TYPE", (sink) => specOf(sink).type],
    ["STATE", (sink) => statusOf(sink).state],
    ["SENT", (sink) => statusOf(sink).events ?? statusOf(sink).sent],
    ["ERRORS", (sink) => statusOf(sink).errors],
    ["PROBLEM", problemOf],
  ],
  flow: [
    NAME,
    ["STEPS", (flow) => countOf(specOf(flow).steps) ?? countOf(specOf(flow).branches)],
    ["BROKER", (flow) => specOf(flow).broker],
    ["RUNS", ({ runs }) => (isObject(runs) ? countsOf(runs) : undefined)],
    ["PROBLEM", problemOf],
  ],
};

function stateOfTrigger({ problem, stopped, suspended }: ListedResource): string {
  if (problem !== undefined) return "wrong";
  if (suspended) return "suspended";
  return stopped === undefined ? "active" : "stopped";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function countOf(value: unknown): number | undefined {
  return Array.isArray(value) ? value.length : undefined;
}

function countsOf(counts: Readonly<Record<string, unknown>>): string {
  return Object.entries(counts)
    .map(([state, count]) => `${String(count)} ${state}`)
    .join(", ");
}

/** Times of sources are milliseconds. */
function timeOf(value: unknown): unknown {
  return typeof value === "number" ? new Date(value).toISOString() : value;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null || value === "") return "-";
  return isObject(value) || Array.isArray(value) ? JSON.stringify(value) : String(value);
}

export function formatResources(kind: StackResourceKind, resources: readonly ListedResource[]): string {
  const columns = COLUMNS[kind];
  const rows = resources.map((resource) => columns.map(([, cell]) => textOf(cell(resource))));
  // An empty last column says nothing.
  const trimmed = rows.map((row) => (row.at(-1) === "-" ? row.slice(0, -1) : row));
  return formatTable([columns.map(([title]) => title), ...trimmed]);
}
