import { FaasError } from "../../../contract/errors.ts";
import { DocumentSources } from "../../../events/sources/document-sources.ts";
import { ALWAYS_ACTS, SourceRunner } from "../../../events/sources/source-runner.ts";
import { sourceTypes } from "../../../events/sources/source-types.ts";
import { openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import type { NewEvent } from "../../../events/store/event-store.ts";
import { createLogger } from "../../../kit/log.ts";
import { ANY_TARGET, CallbackTargets } from "../../../kit/outbound/targets.ts";
import type { SourceOrders } from "./killed-source.ts";

/** A process that runs one declared source over a store in a file, and kills itself where it was told to. */
const { path, spec, secrets, dieAt } = JSON.parse(process.env.SOURCE as string) as SourceOrders;
const log = createLogger("silent");
const { events, resources } = await openEmbeddedEvents({ path, log, minFreeBytes: 0 });
await resources.put({ kind: "source", namespace: "openfaas-fn", name: "killed", spec });

const die = () => process.kill(process.pid, "SIGKILL");
let appends = 0;

new SourceRunner({
  sets: [new DocumentSources(resources, log)],
  targets: new CallbackTargets(ANY_TARGET),
  lead: ALWAYS_ACTS,
  runs: { receiving: false, fetching: true },
  types: sourceTypes(),
  resources,
  store: {
    append: async (batch: readonly NewEvent[]) => {
      appends++;
      if (dieAt?.step === "before" && appends === dieAt.append) die();
      const appended = await events.append(batch);
      if (dieAt?.step === "after" && appends === dieAt.append) die();
      // What is acknowledged after it has a moment to leave the process, which the next one does not.
      if (dieAt?.step === "acknowledged" && appends === dieAt.append) setTimeout(die, 15);
      process.stdout.write(`${JSON.stringify(batch.map(({ event }) => String(event.data)))}\n`);
      return appended;
    },
    find: (namespace, ref) => events.find(namespace, ref),
  },
  readSecret: async (_namespace, secret) => {
    const text = secrets[secret];
    if (text === undefined) throw new FaasError("notFound", `there is no secret ${secret}`);
    return text;
  },
  now: Date.now,
  log,
});
