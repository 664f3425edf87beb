import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Who may import what: the table of the conventions. The first layer whose pattern fits a file is its own. */
const LAYERS: readonly { readonly name: string; readonly files: RegExp; readonly imports: readonly string[] }[] = [
  { name: "http", files: /^http\//, imports: [] },
  { name: "contract", files: /^provider\/contract\//, imports: [] },
  { name: "kit", files: /^provider\/kit\//, imports: ["contract"] },
  { name: "backend", files: /^provider\/backends\/backend\.ts$/, imports: ["contract", "kit"] },
  { name: "backends", files: /^provider\/backends\//, imports: ["backend", "contract", "kit"] },
  {
    name: "provider routes",
    files: /^provider\/(routes\/|(announce-)?app\.ts)/,
    imports: ["backend", "contract", "kit"],
  },
  {
    name: "provider process",
    files: /^provider\/(config|serve|main)\.ts$/,
    imports: ["provider routes", "backends", "backend", "contract", "kit"],
  },
  { name: "gateway core", files: /^gateway\/core\//, imports: ["contract"] },
  { name: "queue", files: /^gateway\/queue\/queue\.ts$/, imports: ["contract"] },
  { name: "queues", files: /^gateway\/queue\//, imports: ["queue", "gateway core", "contract", "kit"] },
  {
    name: "gateway parts",
    files: /^gateway\/((scaling|proxy|metrics|routes|async)\/|(app|provider-client)\.ts$)/,
    imports: ["gateway core", "queue", "contract", "kit"],
  },
  {
    name: "gateway cluster",
    files: /^gateway\/cluster\//,
    imports: ["gateway parts", "gateway core", "queues", "contract", "kit"],
  },
  {
    name: "gateway process",
    files:
      /^gateway\/((queue-worker\/)?(config|serve|main)|async-config|follow-provider|open-queue|open-scaling|run-worker|scaling-config|secret-files)\.ts$/,
    imports: ["gateway parts", "gateway cluster", "gateway core", "queues", "queue", "contract", "kit"],
  },
  { name: "watchdog", files: /^watchdog\//, imports: [] },
  {
    name: "cli start",
    files: /^cli\/(start\/|commands\/(start|gateway|provider|queue-worker|watchdog)\.ts)/,
    imports: ["cli", "provider process", "gateway process", "contract", "kit"],
  },
  { name: "cli", files: /^cli\//, imports: ["cli start", "gateway core", "contract", "kit"] },
];

/** Each package's one home. */
const HOMES: Readonly<Record<string, RegExp>> = {
  "@kubernetes/client-node": /^provider\/backends\/kubernetes\//,
  zod: /^(provider\/contract|provider\/backends|gateway\/core|gateway\/queue|gateway\/scaling|gateway\/cluster)\//,
  pino: /^provider\/kit\//,
  express: /^(provider\/(kit|routes)\/|provider\/(announce-)?app\.ts|gateway\/(routes\/|app\.ts))/,
  multer: /^provider\/(kit|routes)\//,
  "prom-client": /^(provider\/kit\/|provider\/app\.ts|gateway\/(metrics\/|app\.ts))/,
  nats: /^gateway\/(queue\/jetstream|cluster\/)/,
  undici: /^gateway\/(proxy|async|scaling)\//,
  tar: /^(provider\/backends\/local\/build|cli\/build)\//,
  yaml: /^(cli\/(stack|credentials)|provider\/backends\/kubernetes\/)/,
  croner: /^(provider\/contract\/scale-policy|gateway\/core\/scaling\/)/,
  commander: /^cli\//,
  listr2: /^cli\//,
};

/** Rules of HTTP, which need nothing but Node; all may import them, the watchdog's bundle too. */
const EVERYBODYS = "http";

const SOURCE_FOLDERS = ["http", "provider", "gateway", "watchdog", "cli"];

const CLAUSE = String.raw`(?:type\s+)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+(?:\s*,\s*\{[^}]*\})?)`;
/** Static imports and re-exports, imports for effect, dynamic imports, and the files that workers are started from. */
const IMPORT = new RegExp(
  String.raw`^(?:import|export)\s+${CLAUSE}\s+from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|new URL\("([^"]+\.ts)"`,
  "gm",
);

interface Import {
  readonly file: string;
  readonly target: string;
}

function layerOf(file: string): (typeof LAYERS)[number] | undefined {
  return LAYERS.find(({ files }) => files.test(file));
}

function allImports(): Import[] {
  return SOURCE_FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) => {
        const file = join(folder, name);
        const text = readFileSync(join(root, file), "utf8");
        return [...text.matchAll(IMPORT)].map((match) => ({ file, target: match.slice(1).find(Boolean) as string }));
      }),
  );
}

const imports = allImports();

test("every source file belongs to a layer", () => {
  expect(imports.length).toBeGreaterThan(100);
  const homeless = [...new Set(imports.map(({ file }) => file))].filter((file) => !layerOf(file));
  expect(homeless).toEqual([]);
});

test("imports point one way, as the table of the conventions says", () => {
  const wrong = imports
    .filter(({ target }) => target.startsWith("."))
    .flatMap(({ file, target }) => {
      const imported = relative(root, join(root, dirname(file), target));
      const from = layerOf(file);
      const to = layerOf(imported);
      const allowed =
        from !== undefined && to !== undefined && [from.name, EVERYBODYS, ...from.imports].includes(to.name);
      return allowed ? [] : [`${file} (${from?.name}) imports ${imported} (${to?.name})`];
    });
  expect(wrong).toEqual([]);
});

test("each package is imported in its own home only", () => {
  const wrong = imports
    .filter(({ target }) => !target.startsWith(".") && !target.startsWith("node:"))
    .filter(({ file, target }) => {
      const [first, second] = target.split("/");
      const name = first?.startsWith("@") ? `${first}/${second}` : (first as string);
      return !HOMES[name]?.test(file);
    })
    .map(({ file, target }) => `${file} imports ${target}`);
  expect(wrong).toEqual([]);
});
