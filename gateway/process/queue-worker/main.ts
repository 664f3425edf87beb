import { runWorkerProcess } from "../worker-process.ts";
import { loadQueueWorkerConfig } from "./config.ts";
import { openQueueWorker } from "./serve.ts";

await runWorkerProcess(loadQueueWorkerConfig, openQueueWorker);
