// Loads what the platform's processes load at their start, for the compile cache of the image; see watchdog/warm.mjs.
for (const module of [
  "gateway/config.ts",
  "gateway/serve.ts",
  "gateway/queue-worker/config.ts",
  "gateway/queue-worker/serve.ts",
  "gateway/queue/jetstream.ts",
  "gateway/queue/embedded.ts",
  "provider/config.ts",
  "provider/serve.ts",
  "provider/backends/kubernetes/cluster-access.ts",
  "provider/backends/kubernetes/kubernetes-backend.ts",
]) {
  await import(new URL(`../${module}`, import.meta.url).href);
}
