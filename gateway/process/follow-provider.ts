import type { ProviderClient } from "../provider-client.ts";
import type { FunctionTable } from "../proxy/function-table.ts";

/** Keeps the table current by what the provider tells, until it is closed. */
export function followProvider(
  provider: Pick<ProviderClient, "follow">,
  table: Pick<FunctionTable, "beginSnapshot" | "apply" | "retryProvider">,
): { close(): Promise<void> } {
  const stop = new AbortController();
  const following = provider.follow(
    {
      begin: () => table.beginSnapshot(),
      apply: (event) => table.apply(event),
      recovered: () => table.retryProvider(),
    },
    stop.signal,
  );
  return {
    close: async () => {
      stop.abort();
      await following;
    },
  };
}
