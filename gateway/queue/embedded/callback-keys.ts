import { CALLBACKS, functionOf, keyOf, queueOf, refOf } from "./protocol.ts";

/** Calls that have only their callback left have a key of their own: nothing else of their function holds them up. */
export function callbackKey(key: string): string {
  return `${functionOf(key)}@${queueOf(key)}${CALLBACKS}`;
}

export function isCallbackKey(key: string): boolean {
  return key.endsWith(CALLBACKS);
}

/** The key of its function's other calls, for one of either. */
export function plainKey(key: string): string {
  if (!isCallbackKey(key)) return key;
  const { name, namespace } = refOf(functionOf(key));
  return keyOf({ function: name, namespace, queue: queueOf(key) });
}
