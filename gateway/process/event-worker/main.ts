import { runWorkerProcess } from "../worker-process.ts";
import { loadEventWorkerConfig } from "./config.ts";
import { openEventWorker } from "./serve.ts";

await runWorkerProcess(loadEventWorkerConfig, openEventWorker);
