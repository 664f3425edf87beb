// Loads what the platform's processes load at their start, for the compile cache of the image; see watchdog/warm.mjs.
for (const module of [
  "gateway/process/config.ts",
  "gateway/process/serve.ts",
  "gateway/process/queue-worker/config.ts",
  "gateway/process/queue-worker/serve.ts",
  "gateway/queue/jetstream/index.ts",
  "gateway/queue/embedded/index.ts",
  "provider/config.ts",
  "provider/serve.ts",
  "provider/backends/kubernetes/client/cluster-access.ts",
  "provider/backends/kubernetes/kubernetes-backend.ts",
]) {
  await import(new URL(`../${module}`, import.meta.url).href);
}
