// Loads what the platform's processes load at their start, for the compile cache of the image; see watchdog/warm.mjs.
for (const module of [
  "gateway/process/config.js",
  "gateway/process/serve.js",
  "gateway/process/queue-worker/config.js",
  "gateway/process/queue-worker/serve.js",
  "gateway/process/event-worker/config.js",
  "gateway/process/event-worker/serve.js",
  "gateway/queue/jetstream/index.js",
  "gateway/queue/embedded/index.js",
  "provider/config.js",
  "provider/serve.js",
  "provider/backends/kubernetes/client/cluster-access.js",
  "provider/backends/kubernetes/kubernetes-backend.js",
]) {
  await import(new URL(`../${module}`, import.meta.url).href);
}
