import { execFile, spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect } from "@jest/globals";
import { machineOf } from "../../oci/elf.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { temporaryFolder } from "../support/platform.ts";
import { layOut } from "../templates/support/build-context.ts";
import { missingPrograms } from "../templates/support/programs.ts";

/** What install steps make for images, whose Python and machine may be others than this one's. */
const testEach = testNeeding(unlessRequired(missingPrograms("python3", "pip"))).each;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

const WHEELS = `import sys, zipfile
for tag in sys.argv[2:]:
    with zipfile.ZipFile(sys.argv[1] + "/greetings-1.0-" + tag + ".whl", "w") as wheel:
        info = "greetings-1.0.dist-info/"
        wheel.writestr("greetings.py", "made_for = '" + tag + "'")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: greetings\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: false\\nTag: " + tag + "\\n")
        wheel.writestr(info + "RECORD", "")
`;
const COMPILED = [
  "cp39-cp39-manylinux2014_aarch64",
  "cp39-cp39-manylinux2014_x86_64",
  "cp38-abi3-manylinux_2_28_x86_64",
];
const PURE = "py3-none-any";

beforeAll(async () => {
  folder = await temporaryFolder();
  for (const [name, tags] of [
    ["compiled", COMPILED],
    ["all", [...COMPILED, PURE]],
  ] as const) {
    await mkdir(join(folder.path, name));
    await promisify(execFile)("python3", ["-c", WHEELS, join(folder.path, name), ...tags]);
  }
});
afterAll(() => folder.remove());

const ARM = { TARGETPLATFORM: "linux/arm64", TARGETARCH: "arm64" };
const INTEL = { TARGETPLATFORM: "linux/amd64", TARGETARCH: "amd64" };
const BOTH = { TARGETPLATFORM: "linux/amd64,linux/arm64" };

async function install(from: string, env: Record<string, string>) {
  const { dir: context, remove } = await layOut("python3");
  await writeFile(join(context, "function/requirements.txt"), "greetings\n");
  const all = { PATH: process.env.PATH as string, HOME: folder.path, PIP_NO_INDEX: "1", ...env };
  const { stderr } = await promisify(execFile)("sh", ["install.sh"], {
    cwd: context,
    env: { ...all, PIP_FIND_LINKS: join(folder.path, from) },
  }).catch((error: { stderr: string }) => error);
  const installed = await readFile(join(context, "packages/greetings.py"), "utf8").catch(() => "nothing");
  await remove();
  return [installed, stderr];
}

testEach([
  ["another machine and Python", "all", { ...ARM, PYTHON_VERSION: "3.9.21" }, "cp39-cp39-manylinux2014_aarch64"],
  ["another Python", "compiled", { ...INTEL, PYTHON_VERSION: "3.9.21" }, "cp39-cp39-manylinux2014_x86_64"],
  [
    "a later Python, by the stable ABI",
    "compiled",
    { ...INTEL, PYTHON_VERSION: "3.14.0" },
    "cp38-abi3-manylinux_2_28_x86_64",
  ],
  ["one that has no wheel of its own", "all", { ...ARM, PYTHON_VERSION: "3.8.1" }, PURE],
  ["several", "all", { ...BOTH, PYTHON_VERSION: "3.9.21" }, PURE],
])("a package for %s", async (_what: string, from: string, env: Record<string, string>, tag: string) => {
  expect((await install(from, env))[0]).toBe(`made_for = '${tag}'`);
});

testEach([
  ["a machine without a wheel", { ...ARM, PYTHON_VERSION: "3.8.1" }, "need a wheel for Python 3.8 on linux/arm64"],
  [
    "several machines, and compiled",
    { ...BOTH, PYTHON_VERSION: "3.9.1" },
    "a wheel for Python 3.9 on linux/amd64,linux/arm64",
  ],
  ["a base that does not say its Python", ARM, "--build-arg PYTHON_VERSION="],
])("no package for %s", async (_what: string, env: Record<string, string>, says: string) => {
  expect(await install("compiled", env)).toEqual(["nothing", expect.stringContaining(says)]);
});

const hasGo = spawnSync("go", ["version"]).status === 0;
testNeeding(unlessRequired(hasGo ? undefined : "this machine has no go"))(
  "Go compiles for the machine of the image",
  async () => {
    const { dir, remove } = await layOut("golang-middleware");
    const there = process.arch === "arm64" ? "amd64" : "arm64";
    const env = { PATH: process.env.PATH as string, HOME: folder.path, TARGETOS: "linux", TARGETARCH: there };
    await promisify(execFile)("sh", ["install.sh"], { cwd: dir, env, timeout: 280_000 });
    expect(machineOf(await readFile(join(dir, "handler")))).toBe(there);
    await remove();
  },
  300_000,
);
