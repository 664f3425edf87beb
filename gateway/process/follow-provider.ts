import type { ProviderClient } from "../provider-client.ts";
import type { FunctionTable } from "../proxy/function-table.ts";

/** Keeps the table current by the provider's stream, until it is closed. */
export function followProvider(
  provider: Pick<ProviderClient, "follow">,
  table: Pick<FunctionTable, "beginSnapshot" | "apply">,
): { close(): Promise<void> } {
  const stop = new AbortController();
  const following = provider.follow(
    () => table.beginSnapshot(),
    (event) => table.apply(event),
    stop.signal,
  );
  return {
    close: async () => {
      stop.abort();
      await following;
    },
  };
}
