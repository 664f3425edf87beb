import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import type { FunctionVersions } from "../../../contract/versions/function-versions.ts";
import { createLogger } from "../../../kit/log.ts";
import type { ResolvedDeployment } from "../../../provider/backends/backend.ts";
import type { LocalBackendOptions } from "../../../provider/backends/local/local-backend.ts";
import type { VersionControl } from "../../../provider/versions/version-control.ts";
import { type VersionedBackend, withVersions } from "../../../provider/versions/versioned-backend.ts";
import { deployment, inProcess, type LocalFixture, openFixture, ref, snapshotOf, until } from "../local/support.ts";

/** Files of a function that answers with `text`, its name and its process, and logs both. */
export function saying(text: string): Record<string, string> {
  return inProcess(`
    export default (req, res) => {
      console.log("called ${text}");
      res.end(JSON.stringify({ text: "${text}", name: process.env.OPENFAAS_NAME, level: process.env.LEVEL, pid: process.pid }));
    };
  `);
}

export interface VersionedFixture {
  readonly local: LocalFixture;
  readonly backend: VersionedBackend;
  readonly control: VersionControl;
  /** Added to the clock. */
  skewMs: number;
  deploy(name: string, more?: Partial<ResolvedDeployment>): Promise<void>;
  /** Rows of the stream, by name. */
  rows(): Promise<Map<string, FunctionEndpoints>>;
  row(name: string): Promise<FunctionEndpoints>;
  kept(name: string): Promise<FunctionVersions>;
  /** Waits for a ready replica of the row, and calls it. */
  say(name: string): Promise<{ text: string; name: string; level?: string; pid: number }>;
  /** Starts anew, as after a crash of the provider at this point. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** A local backend with versions; images `app:1` and `app:2` say `one` and `two`. */
export async function openVersioned(options: Partial<LocalBackendOptions> = {}): Promise<VersionedFixture> {
  const local = await openFixture(options);
  await local.addImage("app:1", saying("one"));
  await local.addImage("app:2", saying("two"));
  const lines: string[] = [];
  const log = createLogger("info", { write: (line) => void lines.push(line) });
  const wrap = () => withVersions(local.backend, log, () => Date.now() + fixture.skewMs);
  let backend: VersionedBackend;
  const fixture: VersionedFixture = {
    local,
    skewMs: 0,
    get backend() {
      return backend;
    },
    get control() {
      return backend.control as VersionControl;
    },
    async deploy(name, more = {}) {
      const wanted = deployment(name, "app:1", more);
      if (await backend.functions.get(ref(name))) await backend.functions.update(wanted);
      else await backend.functions.create(wanted);
    },
    rows: () => snapshotOf(backend),
    async row(name) {
      const found = (await snapshotOf(backend)).get(name);
      if (!found) throw new Error(`no row ${name}`);
      return found;
    },
    async kept(name) {
      const versions = await local.backend.versions?.get(ref(name));
      if (!versions) throw new Error(`nothing is kept of ${name}`);
      return versions;
    },
    async say(name) {
      const address = await until(
        `a ready replica of ${name}`,
        async () =>
          (await snapshotOf(backend))
            .get(name)
            ?.endpoints.find(({ state, version }) => state === "ready" && version === undefined)?.address,
        30_000,
      );
      return (await (await fetch(`http://${address}/`)).json()) as { text: string; name: string; pid: number };
    },
    async restart() {
      await backend.close(5_000);
      await local.reopen();
      backend = wrap();
    },
    async close() {
      await backend.close(5_000);
      await local.close();
    },
  };
  backend = wrap();
  return fixture;
}

/** Annotations of a rollout, and more. */
export function rollout(strategy: string, more: Record<string, string> = {}): { annotations: Record<string, string> } {
  return { annotations: { "com.faaslane.rollout": strategy, ...more } };
}
