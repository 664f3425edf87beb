import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import { addSourceRoutes } from "../../../events/routes/sources.ts";
import { WEBHOOK_PREFIX, WebhookIngress } from "../../../events/routes/webhook.ts";
import { DocumentSources } from "../../../events/sources/document-sources.ts";
import { ALWAYS_ACTS, SourceRunner } from "../../../events/sources/source-runner.ts";
import { type SourceTypes, sourceTypes } from "../../../events/sources/source-types.ts";
import { openEmbeddedEvents } from "../../../events/store/embedded/index.ts";
import { BodyReader } from "../../../gateway/proxy/body-reader.ts";
import { createLogger } from "../../../kit/log.ts";
import { ANY_TARGET, CallbackTargets } from "../../../kit/outbound/targets.ts";
import { createApp, errorResponder, notFoundResponder } from "../../../kit/respond.ts";

export const NAMESPACE = "openfaas-fn";

export interface SourceStackOptions {
  /** Of the store; a temporary one of its own unless given. */
  readonly folder?: string;
  /** By name. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly maxEventBytes?: number;
  readonly types?: SourceTypes;
  /** Told around each append of sources, with its number. */
  readonly onAppend?: (step: "before" | "after", append: number) => void;
}

/** Sources with the embedded store and their routes, in this process. */
export async function openSourceStack(options: SourceStackOptions = {}) {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "faaslane-sources-"));
  const secrets: Record<string, string> = { ...options.secrets };
  const log = createLogger("silent");
  const { maxEventBytes = 1024 * 1024 } = options;
  const store = await openEmbeddedEvents({ path: join(folder, "events.db"), log, minFreeBytes: 0, maxEventBytes });
  const documents = new DocumentSources(store.resources, log);
  const types = options.types ?? sourceTypes();
  let appends = 0;
  const runner = new SourceRunner({
    sets: [documents],
    types,
    store: {
      append: async (events) => {
        const append = ++appends;
        options.onAppend?.("before", append);
        const appended = await store.events.append(events);
        options.onAppend?.("after", append);
        return appended;
      },
      find: (namespace, ref) => store.events.find(namespace, ref),
    },
    resources: store.resources,
    readSecret: async (_namespace, name) => {
      const text = secrets[name];
      if (text === undefined) throw new FaasError("notFound", `secret ${name} does not exist`);
      return text;
    },
    targets: new CallbackTargets(ANY_TARGET),
    lead: ALWAYS_ACTS,
    runs: { receiving: true, fetching: true },
    now: Date.now,
    log,
  });
  const webhooks = new WebhookIngress({
    runner,
    bodies: new BodyReader({ limitBytes: maxEventBytes, totalBytes: 16 * maxEventBytes }),
    maxBytes: maxEventBytes,
    defaultNamespace: NAMESPACE,
    log,
  });
  const app = createApp();
  addSourceRoutes(app, {
    resources: store.resources,
    types,
    runner,
    authorized: (_req, _res, next) => next(),
    defaultNamespace: NAMESPACE,
  });
  app.use(notFoundResponder(), errorResponder(log));
  const server = createServer((req, res) => {
    if (req.url?.startsWith(WEBHOOK_PREFIX)) void webhooks.handle(req, res);
    else app(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const request = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: { accept: "application/json" },
    });
    const text = await answer.text();
    return { status: answer.status, body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text };
  };
  return {
    url,
    port,
    folder,
    runner,
    secrets,
    resources: store.resources,
    request,
    declare: (name: string, spec: unknown) => request("PUT", `/system/sources/${name}`, spec),
    /** All that was stored, the oldest first. */
    events: async () => {
      const page = { order: "oldest", limit: 1_000, withData: true } as const;
      return (await store.events.list({ namespace: NAMESPACE }, page)).events.map(({ event }) => event);
    },
    close: async ({ keep = false } = {}) => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      documents.close();
      await runner.close();
      await store.close();
      if (!keep) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type SourceStack = Awaited<ReturnType<typeof openSourceStack>>;
