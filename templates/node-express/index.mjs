// The request listener that the watchdog loads into its own process: an Express application, one that the handler sets up,
// or a handler of the node templates.
import { join } from "node:path";
import { isApplication, openService, takesApplication } from "./runtime/express.mjs";
import { giveEvents } from "./runtime/express-events.mjs";
import { loadHandler } from "./runtime/handler.mjs";
import { listenerFor } from "./runtime/listener.mjs";
import { secretReader } from "./runtime/secret.mjs";
import { readSettings } from "./runtime/settings.mjs";

const settings = readSettings(process.env);
const folder = join(import.meta.dirname, "function");
const handler = await loadHandler(folder);

async function open() {
  if (isApplication(handler)) {
    giveEvents(handler);
    return handler;
  }
  if (takesApplication(handler)) return await openService(handler, folder, settings);
  return await listenerFor(handler, secretReader(settings.secretsDir), settings);
}

export default await open();
