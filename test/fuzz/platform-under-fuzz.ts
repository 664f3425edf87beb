import { join } from "node:path";
import { readCredentials } from "../../kit/basic-auth.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { descendants, Platform, temporaryFolder } from "../support/platform.ts";
import { ask } from "./ask.ts";

/** Functions of the platform, by what they do with a call. */
const HANDLERS: Readonly<Record<string, string>> = {
  // Never named by any case: whatever happens to the others, this one answers, and from the same process.
  probed: "const self = crypto.randomUUID();\nexport default (req, res) => res.end(self);\n",
  plain: `export default (req, res) => {
  let bytes = 0;
  req.on("data", (piece) => { bytes += piece.length; });
  req.on("end", () => res.end(String(bytes)));
};
`,
  noisy: `export default (req, res) => {
  req.on("data", (piece) => process.stderr.write(piece));
  req.on("end", () => res.end());
};
`,
};

const ENV = {
  log_level: "info",
  // What is still referred to cannot hide behind a heap that only has not been tidied up yet.
  NODE_OPTIONS: "--max-old-space-size=128",
  // As much as there may be of what is kept for later.
  async_result_ttl: "10s",
  max_retry_attempts: "1",
  initial_retry_wait: "50ms",
  build_max_bytes: "1Mi",
  build_max_upload_bytes: "1Mi",
  build_max_entries: "100",
  // No case calls anybody outside, whatever becomes of its URL.
  callback_deny: "*",
  callback_allow: "127.0.0.1",
  callback_timeout: "1s",
};

export interface PlatformUnderFuzz {
  readonly platform: Platform;
  readonly authorization: string;
  readonly dataDir: string;
  /** Answer 200 with the same text as long as all is well. */
  readonly probes: readonly string[];
  /** Processes of the function among them. */
  readonly helpers: readonly number[];
  /** Builds an image and deploys it as a function of the same name. */
  deploy(name: string, env: Readonly<Record<string, string>>, files?: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
}

export async function startPlatform(): Promise<PlatformUnderFuzz> {
  const folder = await temporaryFolder();
  const dataDir = join(folder.path, "data");
  const platform = await Platform.start({ dataDir, env: ENV });
  const deploy: PlatformUnderFuzz["deploy"] = async (service, env, files = {}) => {
    await buildImage(platform, `${service}:1`, { "faaslane.json": JSON.stringify({ env }), ...files });
    // One replica each, so that every process is accounted for.
    const labels = { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "1" };
    const body = JSON.stringify({ service, image: `${service}:1`, labels });
    const answer = await platform.control("/system/functions", { method: "POST", body });
    if (answer.status !== 202) throw new Error(`deploying ${service}: ${answer.status} ${await answer.text()}`);
  };
  const helpers: number[] = [];
  for (const [name, handler] of Object.entries(HANDLERS)) {
    await deploy(name, { mode: "inproc", inproc_handler: "./f.mjs" }, { "f.mjs": handler });
    const url = `${platform.url}/function/${name}`;
    await eventually(`${name} answers`, async () => (await ask(url, { method: "POST" })).status === 200);
    if (name === "probed") helpers.push(...(await descendants(platform.pid)));
  }
  const { user, password } = await readCredentials(dataDir);
  return {
    platform,
    dataDir,
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
    probes: [
      `${platform.url}/function/probed`,
      `${platform.url}/healthz`,
      `${platform.metricsUrl}/healthz`,
      `http://127.0.0.1:${platform.providerPort}/healthz`,
    ],
    helpers,
    deploy,
    async stop() {
      await platform.stop();
      await folder.remove();
    },
  };
}
