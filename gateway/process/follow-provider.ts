import type { ProviderClient } from "../provider-client.ts";
import type { FunctionTable } from "../proxy/function-table.ts";

/**
 * Keeps the table current by what the provider tells, until it is closed.
 * @param recovered called when the provider answers again, after it did not
 */
export function followProvider(
  provider: Pick<ProviderClient, "follow">,
  table: Pick<FunctionTable, "beginSnapshot" | "apply" | "retryProvider">,
  recovered: () => void = () => {},
): { close(): Promise<void> } {
  const stop = new AbortController();
  const following = provider.follow(
    {
      begin: () => table.beginSnapshot(),
      apply: (event) => table.apply(event),
      recovered: () => {
        table.retryProvider();
        recovered();
      },
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
