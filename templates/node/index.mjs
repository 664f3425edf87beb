// The request listener that the watchdog loads into its own process (`mode=inproc`, `inproc_handler=./index.mjs`).
import { join } from "node:path";
import { loadHandler } from "./runtime/handler.mjs";
import { listenerFor } from "./runtime/listener.mjs";
import { secretReader } from "./runtime/secret.mjs";
import { readSettings } from "./runtime/settings.mjs";

const settings = readSettings(process.env);
const handler = await loadHandler(join(import.meta.dirname, "function"));

export default await listenerFor(handler, secretReader(settings.secretsDir), settings);
