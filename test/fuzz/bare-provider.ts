/** A provider whose one function, `odd`, is at `odd_address`: as on Kubernetes, there is no watchdog of ours between. */

import { createLogger } from "../../kit/log.ts";
import { listen } from "../../kit/server.ts";
import { buildProvider } from "../../provider/app.ts";
import { FakeBackend } from "../provider/fake-backend.ts";

const backend = new FakeBackend();
backend.point("odd", [process.env.odd_address as string]);
const log = createLogger("info");
const server = await listen(buildProvider({ backend, log }), { port: 0, host: "127.0.0.1" });
log.info({ url: server.url }, "provider is listening");
