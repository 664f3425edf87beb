import type { Backend } from "../backends/backend.ts";
import type { FunctionEndpoints } from "../contract/endpoints.ts";
import { type FunctionRef, qualifiedName } from "../contract/functions.ts";
import type { Logger } from "../kit/log.ts";

/** Which replicas can be called, as the backend last told. */
export interface EndpointPicture {
  /** `host:port` of every replica of a function that is ready; empty for functions that do not exist too. */
  ready(ref: FunctionRef): Promise<readonly string[]>;
}

/**
 * A picture that starts to watch at its first use, since a gateway of ours never asks for it, and again after a failure.
 * @param closing ends it
 */
export function openEndpointPicture(
  backend: Pick<Backend, "watch">,
  log: Logger,
  closing: AbortSignal,
): EndpointPicture {
  let current: Promise<ReadonlyMap<string, readonly string[]>> | undefined;

  const watch = () => {
    const functions = new Map<string, readonly string[]>();
    const { promise: whole, resolve, reject } = Promise.withResolvers<typeof functions>();
    const follow = async () => {
      for await (const event of backend.watch(closing)) {
        if (event.type === "heartbeat") resolve(functions);
        else if (event.type === "removed") functions.delete(qualifiedName(event.function));
        else functions.set(qualifiedName(event.function), readyAddresses(event.function));
      }
      throw new Error("the backend's watch ended");
    };
    follow().catch((err: unknown) => {
      if (current === whole) current = undefined;
      reject(err);
      if (!closing.aborted) log.warn({ err }, "endpoints lost, watching again at the next call");
    });
    return whole;
  };

  return {
    async ready(ref) {
      current ??= watch();
      return (await current).get(qualifiedName(ref)) ?? [];
    },
  };
}

function readyAddresses({ endpoints }: FunctionEndpoints): readonly string[] {
  return endpoints.filter(({ state }) => state === "ready").map(({ address }) => address);
}
