/** When this process is told to stop, `remove` comes first, so that nothing that it has started outlives it. */
export function whenToldToStop(remove: () => Promise<unknown>): { [Symbol.dispose](): void } {
  const stop = () => {
    void remove().finally(() => process.exit(1));
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, stop);
  return {
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, stop);
    },
  };
}
