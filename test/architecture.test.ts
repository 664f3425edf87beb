import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Layer {
  readonly name: string;
  readonly files: RegExp;
  /** Layers that it may import, beside itself and {@link EVERYBODYS}. */
  readonly imports: readonly string[];
}

/** Who may import what. The first layer whose pattern fits a file is its own; none imports one that comes after it. */
const LAYERS: readonly Layer[] = [
  { name: "http", files: /^http\//, imports: [] },
  { name: "contract", files: /^contract\//, imports: [] },
  { name: "kit", files: /^kit\//, imports: ["contract"] },

  { name: "images", files: /^oci\//, imports: ["contract", "kit"] },

  { name: "registry", files: /^registry\//, imports: ["images", "contract", "kit"] },

  { name: "event expressions", files: /^events\/cesql\//, imports: ["contract"] },
  { name: "event codec", files: /^events\/codec\//, imports: ["contract"] },
  { name: "event filters", files: /^events\/filters\//, imports: ["event expressions", "event codec", "contract"] },
  { name: "cron", files: /^events\/cron\//, imports: ["contract"] },
  { name: "webhooks", files: /^events\/webhooks\//, imports: ["event codec", "contract"] },
  { name: "event delivery", files: /^events\/delivery\//, imports: ["contract"] },
  { name: "event transforms", files: /^events\/transforms\//, imports: ["event codec", "contract", "kit"] },
  { name: "event store", files: /^events\/store\/[^/]+\.ts$/, imports: ["event codec", "contract", "kit"] },
  {
    name: "embedded events",
    files: /^events\/store\/embedded\//,
    imports: ["event store", "event codec", "contract", "kit"],
  },
  {
    name: "brokers",
    files: /^events\/brokers\//,
    imports: ["event store", "event delivery", "event codec", "contract", "kit"],
  },
  {
    name: "triggers",
    files: /^events\/triggers\//,
    imports: ["brokers", "event store", "event delivery", "event filters", "event codec", "contract", "kit"],
  },
  { name: "event links", files: /^events\/links\//, imports: ["contract", "kit"] },
  {
    name: "sources",
    files: /^events\/sources\//,
    imports: ["event links", "event store", "event filters", "event codec", "cron", "webhooks", "contract", "kit"],
  },
  {
    name: "sinks",
    files: /^events\/sinks\//,
    imports: ["event links", "event store", "event delivery", "event codec", "webhooks", "contract", "kit"],
  },
  {
    name: "event engine",
    files: /^events\/engine\//,
    imports: [
      ...[
        "brokers",
        "triggers",
        "sinks",
        "event store",
        "event transforms",
        "event delivery",
        "event filters",
        "event codec",
      ],
      ...["contract", "kit"],
    ],
  },
  {
    name: "flows",
    files: /^events\/flows\//,
    imports: [
      ...["event engine", "triggers", "event store", "event transforms", "event delivery", "event filters"],
      ...["event codec", "contract", "kit"],
    ],
  },
  {
    name: "event declarations",
    files: /^events\/declare\//,
    imports: [
      ...["flows", "sources", "sinks", "triggers", "brokers", "event store", "event delivery", "event filters"],
      ...["contract", "kit"],
    ],
  },
  {
    name: "event objects",
    files: /^events\/objects\//,
    imports: [
      ...["event declarations", "flows", "sources", "sinks", "triggers", "brokers", "event store", "event delivery"],
      ...["event filters", "contract", "kit"],
    ],
  },
  {
    name: "ledger",
    files: /^events\/ledger\//,
    imports: ["triggers", "event store", "event delivery", "event filters", "event codec", "contract", "kit"],
  },
  {
    name: "event routes",
    files: /^events\/routes\//,
    imports: [
      ...[
        "ledger",
        "event declarations",
        "flows",
        "event engine",
        "sources",
        "sinks",
        "triggers",
        "brokers",
        "event store",
      ],
      ...["event transforms", "event delivery", "event filters", "event codec", "webhooks", "contract", "kit"],
    ],
  },

  { name: "watchdog", files: /^watchdog\//, imports: [] },

  { name: "backend", files: /^provider\/backends\/(?!open-backend)[^/]+\.ts$/, imports: ["contract", "kit"] },
  { name: "versions", files: /^provider\/versions\//, imports: ["backend", "contract", "kit"] },
  { name: "build contexts", files: /^provider\/backends\/build\//, imports: ["backend", "contract", "kit"] },
  { name: "local", files: /^provider\/backends\/local\//, imports: ["build contexts", "backend", "contract", "kit"] },
  {
    name: "image builds",
    files: /^provider\/backends\/images\//,
    imports: ["local", "build contexts", "images", "backend", "contract", "kit"],
  },
  {
    name: "resources",
    files: /^provider\/backends\/kubernetes\/resources\//,
    imports: ["images", "versions", "backend", "contract", "kit"],
  },
  {
    name: "cluster client",
    files: /^provider\/backends\/kubernetes\/client\//,
    imports: ["resources", "backend", "contract", "kit"],
  },
  {
    name: "cluster cache",
    files: /^provider\/backends\/kubernetes\/cache\//,
    imports: ["cluster client", "resources", "backend", "contract", "kit"],
  },
  {
    name: "pods",
    files: /^provider\/backends\/kubernetes\/pods\//,
    imports: ["cluster cache", "cluster client", "resources", "backend", "contract", "kit"],
  },
  {
    name: "kubernetes",
    files: /^provider\/backends\/kubernetes\//,
    imports: [
      "image builds",
      "images",
      "pods",
      "cluster cache",
      "cluster client",
      "resources",
      "versions",
      "backend",
      "contract",
      "kit",
    ],
  },
  {
    name: "backends",
    files: /^provider\/backends\/open-backend\.ts$/,
    imports: [
      ...["image builds", "build contexts", "local", "kubernetes", "cluster client", "resources", "backend"],
      ...["contract", "kit"],
    ],
  },
  {
    name: "provider routes",
    files: /^provider\/(routes\/|(announce-)?app\.ts)/,
    imports: ["versions", "backend", "contract", "kit"],
  },
  {
    name: "provider process",
    files: /^provider\/(config|serve|main)\.ts$/,
    imports: [
      ...["provider routes", "backends", "image builds", "build contexts", "cluster client", "resources", "local"],
      ...["versions", "backend"],
      ...["contract", "kit"],
    ],
  },

  {
    name: "builder",
    files: /^builder\//,
    imports: ["image builds", "build contexts", "images", "backend", "contract", "kit"],
  },

  { name: "gateway core", files: /^gateway\/core\//, imports: ["contract"] },
  { name: "nats", files: /^gateway\/nats\//, imports: ["contract", "kit"] },
  {
    name: "JetStream events",
    files: /^events\/store\/jetstream\//,
    imports: ["event store", "event codec", "nats", "contract", "kit"],
  },
  { name: "queue", files: /^gateway\/queue\/[^/]+\.ts$/, imports: ["contract", "kit"] },
  { name: "queue worker", files: /^gateway\/queue\/worker\//, imports: ["queue", "contract", "kit"] },
  {
    name: "embedded queue",
    files: /^gateway\/queue\/embedded\//,
    imports: ["queue worker", "queue", "gateway core", "contract", "kit"],
  },
  {
    name: "JetStream queue",
    files: /^gateway\/queue\/jetstream\//,
    imports: ["queue worker", "queue", "nats", "gateway core", "contract", "kit"],
  },
  { name: "polling", files: /^gateway\/polling\//, imports: ["gateway core", "contract", "kit"] },
  { name: "policies", files: /^gateway\/policies\//, imports: ["gateway core", "contract", "kit"] },
  { name: "telemetry", files: /^gateway\/telemetry\//, imports: ["contract", "kit"] },
  {
    name: "proxy",
    files: /^gateway\/(proxy\/|provider-client\.ts$)/,
    imports: ["telemetry", "polling", "policies", "gateway core", "contract", "kit"],
  },
  { name: "scaling", files: /^gateway\/scaling\//, imports: ["gateway core", "contract", "kit"] },
  { name: "cluster", files: /^gateway\/cluster\//, imports: ["scaling", "nats", "gateway core", "contract", "kit"] },
  {
    name: "async",
    files: /^gateway\/async\/[^/]+\.ts$/,
    imports: ["telemetry", "queue", "gateway core", "contract", "kit"],
  },
  { name: "intake", files: /^gateway\/async\/intake\//, imports: ["gateway core", "contract", "kit"] },
  {
    name: "callbacks",
    files: /^gateway\/async\/callbacks\//,
    imports: ["async", "telemetry", "queue", "gateway core", "contract", "kit"],
  },
  {
    name: "rollouts",
    files: /^gateway\/rollouts\//,
    imports: ["callbacks", "async", "proxy", "queue", "gateway core", "contract", "kit"],
  },
  {
    name: "async worker",
    files: /^gateway\/async\/worker\//,
    imports: [
      "callbacks",
      "intake",
      "async",
      "proxy",
      "telemetry",
      "policies",
      "queue",
      "gateway core",
      "contract",
      "kit",
    ],
  },
  {
    name: "metrics",
    files: /^gateway\/metrics\//,
    imports: ["event store", "rollouts", "scaling", "proxy", "async", "telemetry", "queue", "contract", "kit"],
  },
  { name: "dashboard page", files: /^gateway\/ui\/browser\//, imports: ["contract"] },
  {
    name: "dashboard",
    files: /^gateway\/ui\//,
    imports: ["scaling", "metrics", "proxy", "telemetry", "policies", "queue", "gateway core", "contract", "kit"],
  },
  {
    name: "gateway routes",
    files: /^gateway\/(routes\/|app\.ts$)/,
    imports: [
      "dashboard",
      "intake",
      "callbacks",
      "rollouts",
      "scaling",
      "proxy",
      "telemetry",
      "policies",
      "queue",
      "gateway core",
      "contract",
      "kit",
    ],
  },
  {
    name: "gateway workers",
    files: /^gateway\/workers\//,
    imports: ["telemetry", "proxy", "policies", "gateway core", "contract", "kit"],
  },
  {
    name: "gateway process",
    files: /^gateway\/process\//,
    imports: [
      ...[
        "gateway routes",
        "dashboard",
        "metrics",
        "rollouts",
        "async worker",
        "callbacks",
        "intake",
        "async",
        "cluster",
        "scaling",
        "proxy",
      ],
      "gateway workers",
      "policies",
      "telemetry",
      ...["JetStream queue", "embedded queue", "queue worker", "queue", "nats", "gateway core", "contract", "kit"],
      ...[
        "event routes",
        "event objects",
        "event declarations",
        "ledger",
        "flows",
        "event engine",
        "sources",
        "sinks",
        "triggers",
        "brokers",
        "JetStream events",
      ],
      ...["embedded events", "event store", "event transforms", "event delivery", "event filters", "event codec"],
      ...["webhooks", "cron"],
    ],
  },

  {
    name: "cli",
    files: /^cli\/(?!start\/|processes\/|commands\/|(main|program)\.ts$)/,
    imports: ["images", "gateway core", "event codec", "contract", "kit"],
  },
  {
    name: "cli processes",
    files: /^cli\/(start|processes)\//,
    imports: ["cli", "registry", "builder", "provider process", "gateway process", "contract", "kit"],
  },
  {
    name: "commands",
    files: /^cli\//,
    imports: ["cli", "cli processes", "gateway core", "event codec", "contract", "kit"],
  },
];

/** Each package's one home. */
const HOMES: Readonly<Record<string, RegExp>> = {
  "@kubernetes/client-node": /^provider\/backends\/kubernetes\//,
  zod: /^(contract|events|oci|provider\/backends|gateway\/core|gateway\/async\/intake|gateway\/queue|gateway\/scaling|gateway\/cluster|gateway\/ui\/live)\//,
  pino: /^kit\//,
  express:
    /^(kit\/|events\/routes\/|provider\/routes\/|provider\/(announce-)?app\.ts|gateway\/(routes\/|ui\/|app\.ts))/,
  jose: /^gateway\/policies\//,
  multer: /^(kit|provider\/routes)\//,
  "prom-client": /^(kit\/|provider\/app\.ts|gateway\/(metrics\/|app\.ts))/,
  nats: /^(gateway\/(nats|queue\/jetstream|cluster)|events\/(store\/jetstream|links|sources|sinks))\//,
  mqtt: /^events\/(links|sources|sinks)\//,
  "rabbitmq-client": /^events\/(links|sources|sinks)\//,
  "@platformatic/kafka": /^events\/(links|sources|sinks)\//,
  "@redis/client": /^events\/(sources|sinks)\//,
  pg: /^events\/sources\//,
  "pg-logical-replication": /^events\/sources\//,
  "@aws-sdk/client-s3": /^events\/sources\//,
  "@aws-sdk/client-sqs": /^events\/sources\//,
  jsonata: /^events\/transforms\//,
  undici: /^(kit\/outbound|gateway\/(policies|proxy|async|scaling)|events\/(engine|sources|sinks))\//,
  tar: /^(oci|provider\/backends\/(build|images)|cli\/(build|publish))\//,
  yaml: /^(cli\/(stack|credentials)|events\/sources\/kubernetes\/|provider\/backends\/kubernetes\/|gateway\/routes\/openapi|gateway\/ui\/deploy\/)/,
  croner: /^(contract\/scale-policy|events\/cron\/|gateway\/core\/scaling\/)/,
  preact: /^gateway\/ui\/browser\//,
  "@preact/signals": /^gateway\/ui\/browser\//,
  uplot: /^gateway\/ui\/browser\//,
  commander: /^cli\//,
  listr2: /^cli\//,
};

/** Rules of HTTP, which need nothing but Node; all may import them, the watchdog's bundle too. */
const EVERYBODYS = "http";

const SOURCE_FOLDERS = [
  "http",
  "contract",
  "builder",
  "events",
  "kit",
  "oci",
  "registry",
  "provider",
  "gateway",
  "watchdog",
  "cli",
];

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

function layerOf(file: string): Layer | undefined {
  return LAYERS.find(({ files }) => files.test(file));
}

interface Source {
  readonly file: string;
  readonly text: string;
}

const sources = SOURCE_FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name): Source => ({ file: join(folder, name), text: readFileSync(join(root, folder, name), "utf8") })),
);

const imports = sources.flatMap(({ file, text }) =>
  [...text.matchAll(IMPORT)].map((match): Import => ({ file, target: match.slice(1).find(Boolean) as string })),
);

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

test("no layer imports one that comes after it", () => {
  const place = new Map(LAYERS.map(({ name }, index) => [name, index]));
  const upwards = LAYERS.flatMap(({ name, imports }, index) =>
    imports.filter((below) => (place.get(below) ?? Infinity) >= index).map((below) => `${name} imports ${below}`),
  );
  expect(upwards).toEqual([]);
});

test("no files import each other in a circle", () => {
  const next = new Map<string, string[]>();
  for (const { file, target } of imports) {
    if (target.startsWith("."))
      next.set(file, [...(next.get(file) ?? []), relative(root, join(root, dirname(file), target))]);
  }
  const done = new Set<string>();
  /** @returns the circle that `file` is on, if there is one further down. */
  const circleFrom = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of next.get(file) ?? []) {
      const circle = circleFrom(target, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  expect([...next.keys()].map((file) => circleFrom(file, [])).find((circle) => circle)).toBeUndefined();
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

const EXPORTED = /^export (?:abstract )?(?:async )?(?:const|function|class|interface|type|enum) (\w+)/gm;

// The watchdog and the dashboard's page, programs of their own, have some helpers of the same name and meaning.
test("no exported name has two homes", () => {
  const homes = new Map<string, Set<string>>();
  for (const { file, text } of sources.filter(({ file }) => !/^(watchdog|gateway\/ui\/browser)\//.test(file))) {
    for (const [, name = ""] of text.matchAll(EXPORTED)) homes.set(name, (homes.get(name) ?? new Set()).add(file));
  }
  expect(homes.size).toBeGreaterThan(1000);
  const shared = [...homes].filter(([, files]) => files.size > 1).map(([name, files]) => [name, ...files]);
  expect(shared).toEqual([]);
});
