const os = require("node:os");

/** Tells about the machine and the process that serve the call; with `verbose` as body, more of it. */
module.exports = async (event) => {
  const verbose = event.body === "verbose" || "verbose" in event.query;
  return {
    hostname: os.hostname(),
    platform: os.platform(),
    arch: os.arch(),
    node: process.version,
    cpus: os.availableParallelism(),
    uptimeSeconds: Math.round(os.uptime()),
    ...(verbose && { memory: process.memoryUsage(), load: os.loadavg() }),
  };
};
