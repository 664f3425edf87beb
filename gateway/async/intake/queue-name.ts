import { isQueueName } from "../../../contract/names.ts";

const ANNOTATION = "com.openfaas.queue";

/**
 * The queue that takes a function's calls, by its annotation `com.openfaas.queue`.
 * @returns `problem` when the annotation names none; the default then holds
 */
export function readQueueName(
  annotations: Readonly<Record<string, string>>,
  defaultQueue: string,
): { readonly queue: string; readonly problem?: string } {
  const text = annotations[ANNOTATION]?.trim();
  if (text === undefined || text === "") return { queue: defaultQueue };
  if (isQueueName(text)) return { queue: text };
  const problem = `${ANNOTATION}: must have 1 to 63 lower-case letters, digits, - and _`;
  return { queue: defaultQueue, problem };
}
