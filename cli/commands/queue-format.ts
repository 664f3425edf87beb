import { formatBytes } from "../../contract/bytes.ts";
import type { CallDetails, CallReport, DeadLetterReport, ListedCallReport, QueueReport } from "../../contract/calls.ts";
import { formatDuration } from "../../contract/duration.ts";
import { formatTable } from "../table.ts";

const age = (ms: number) => (ms === 0 ? "-" : formatDuration(ms));
const rate = (perSecond: number) => perSecond.toFixed(perSecond < 10 ? 1 : 0);

/** @param withTotal whether the totals of the whole queue belong to what was asked */
export function formatQueue({ functions, limits, ...total }: QueueReport, withTotal: boolean): string {
  const head = ["FUNCTION", "QUEUE", "WAITING", "RUNNING", "DEAD", "OLDEST", "ACCEPTED/S", "FINISHED/S"];
  const rows = functions.map((fn) => [
    `${fn.name}.${fn.namespace}`,
    fn.queue,
    `${fn.waiting}`,
    `${fn.inFlight}`,
    `${fn.dead}`,
    age(fn.oldestMs),
    rate(fn.acceptedPerSecond),
    rate(fn.finishedPerSecond),
  ]);
  const all = ["(all)", "", `${total.waiting}`, `${total.inFlight}`, `${total.dead}`, age(total.oldestMs), "", ""];
  const table = formatTable([head, ...rows, ...(withTotal ? [all] : [])]);
  return limits ? `${table}${formatLimits(limits, withTotal ? total.bytes : undefined)}` : table;
}

function formatLimits(limits: NonNullable<QueueReport["limits"]>, bytes: number | undefined): string {
  const { calls, functionCalls, functionBytes } = limits;
  const taken = bytes === undefined ? "" : `, of which ${formatBytes(bytes)} are taken`;
  const all = `${calls} calls and ${formatBytes(limits.bytes)} in all${taken}`;
  return `Limits: ${all}; ${functionCalls} calls and ${formatBytes(functionBytes)} of a function.\n`;
}

export function formatCall(call: CallReport): string {
  const { batch, callback } = call;
  const lines: [string, string | undefined][] = [
    ["Id", call.id],
    ["Call id", call.callId === call.id ? undefined : call.callId],
    ["Function", `${call.function}.${call.namespace}`],
    ["Queue", call.queue],
    ["State", call.state],
    ["Reason", call.reason],
    ["Attempts", `${call.attempts}`],
    ["Status", call.status === undefined ? undefined : `${call.status}`],
    ["Duration", call.durationMs === undefined ? undefined : formatDuration(call.durationMs)],
    ["Accepted", call.acceptedAt],
    ["Started", call.startedAt],
    ["Finished", call.finishedAt],
    ["Next attempt", call.nextAttemptAt],
    ["Expires", call.notAfter],
    ["Result until", call.resultUntil],
    ["Callback", callback && formatCallback(callback)],
    [
      "Batch",
      batch &&
        `${batch.size} calls: ${batch.done} done, ${batch.dead} dead, ${batch.cancelled} cancelled, ${batch.expired} expired`,
    ],
  ];
  const given = lines.filter((line): line is [string, string] => line[1] !== undefined);
  return formatTable(given.map(([name, value]) => [`${name}:`, value]));
}

export function formatCalls(calls: readonly ListedCallReport[], more: boolean): string {
  const head = ["ID", "FUNCTION", "QUEUE", "STATE", "ATTEMPTS", "ACCEPTED", "NEXT ATTEMPT", "BODY", "CALL ID"];
  const rows = calls.map((call) => [
    call.id,
    `${call.function}.${call.namespace}`,
    call.queue,
    call.state,
    `${call.attempts}`,
    call.acceptedAt,
    call.nextAttemptAt ?? call.callback?.nextAttemptAt ?? "-",
    formatBytes(call.bodyBytes),
    call.callId === call.id ? "-" : call.callId,
  ]);
  return formatTable([head, ...rows]) + (more ? "There are more; --limit shows them.\n" : "");
}

export function formatCallDetails({ request, ...call }: CallDetails): string {
  if (!request) return `${formatCall(call)}\nWhat was sent is not kept (any more).\n`;
  const { method, path, query, headers, callbackUrl, bodyBytes } = request;
  const lines = [
    ["Request:", `${method} ${path}${query === "" ? "" : `?${query}`}`],
    ...(callbackUrl === undefined ? [] : [["Callback:", callbackUrl]]),
    ["Body:", formatBytes(bodyBytes)],
  ];
  const sent =
    headers.length === 0
      ? ""
      : `Headers:\n${formatTable(
          headers.map(([name, value]) => [`${name}:`, value]),
          "  ",
        )}`;
  return `${formatCall(call)}\n${formatTable(lines)}${sent}`;
}

function formatCallback({ state, tries, nextAttemptAt, reason }: NonNullable<CallReport["callback"]>): string {
  const next = nextAttemptAt === undefined ? "" : `, next at ${nextAttemptAt}`;
  const why = reason === undefined ? "" : `: ${reason}`;
  return `${state} after ${tries} ${tries === 1 ? "try" : "tries"}${next}${why}`;
}

export function formatDeadLetters(items: readonly DeadLetterReport[], more: boolean): string {
  const head = ["ID", "FUNCTION", "DIED", "ATTEMPTS", "STATUS", "REASON"];
  const rows = items.map((letter) => [
    letter.id,
    `${letter.function}.${letter.namespace}`,
    letter.diedAt,
    `${letter.attempts}`,
    letter.status === undefined ? "-" : `${letter.status}`,
    letter.reason.replace(/\s+/g, " "),
  ]);
  return formatTable([head, ...rows]) + (more ? "There are more; --limit shows them.\n" : "");
}
