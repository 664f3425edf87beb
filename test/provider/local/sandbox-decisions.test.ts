import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { signalOfCode } from "../../../kit/signal.ts";
import { enforcedMemory } from "../../../provider/backends/local/memory-limit.ts";
import { describeProblem, readEnd } from "../../../provider/backends/local/problem.ts";
import { type ProcessInfo, replicaProcesses } from "../../../provider/backends/local/processes.ts";
import { groupSettings, parseOomKills, parseOwnGroups } from "../../../provider/backends/local/sandbox/cgroup-tree.ts";
import { openCgroups } from "../../../provider/backends/local/sandbox/cgroups.ts";
import { parseProportionalBytes } from "../../../provider/backends/local/sandbox/guard.ts";
import { harness } from "../../../provider/backends/local/sandbox/harness.ts";
import { permissionsWithoutWall } from "../../../provider/backends/local/sandbox/permissions.ts";
import { pathsOfPrograms } from "../../../provider/backends/local/sandbox/programs.ts";
import { isWithin } from "../../../provider/backends/local/sandbox/shown.ts";
import { chooseCodeFolder, Wall } from "../../../provider/backends/local/sandbox/wall.ts";
import { deploymentWarnings } from "../../../provider/backends/local/warnings.ts";
import { networkProblems, networkWarnings } from "../../../provider/backends/network-annotation.ts";
import { deployment } from "./support.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-decide-"));
  folders.push(folder);
  return folder;
}

const V1_MOUNTS = `33 30 0:29 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:12 - cgroup cgroup rw,cpu,cpuacct
35 30 0:31 /docker/abc /sys/fs/cgroup/pids ro,relatime - cgroup cgroup rw,pids
36 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw
37 1 8:1 / / rw - ext4 /dev/root rw`;
const V2_MOUNTS = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate";

test.each<[what: string, groups: string, mounts: string, expected: unknown]>([
  [
    "version 1, one hierarchy for each controller",
    "8:pids:/docker/abc\n5:memory:/a/b\n2:cpu,cpuacct:/\n0::/",
    V1_MOUNTS,
    {
      version: 1,
      folders: {
        memory: "/sys/fs/cgroup/memory/a/b",
        cpu: "/sys/fs/cgroup/cpu,cpuacct/",
        pids: "/sys/fs/cgroup/pids",
      },
    },
  ],
  [
    "version 2",
    "0::/system.slice/faaslane.service",
    V2_MOUNTS,
    {
      version: 2,
      folders: Object.fromEntries(
        ["memory", "cpu", "pids"].map((name) => [name, "/sys/fs/cgroup/system.slice/faaslane.service"]),
      ),
    },
  ],
  ["none", "", "37 1 8:1 / / rw - ext4 /dev/root rw", undefined],
])("control groups are found: %s", (_what, groups, mounts, expected) => {
  expect(parseOwnGroups(groups, mounts)).toEqual(expected);
});

test.each([
  [1, "memory", { memoryBytes: 1024.7 }, [["memory.limit_in_bytes", "1024"]]],
  [2, "memory", { memoryBytes: 1024 }, [["memory.max", "1024"]]],
  [
    1,
    "cpu",
    { cpu: 0.5 },
    [
      ["cpu.cfs_period_us", "100000"],
      ["cpu.cfs_quota_us", "50000"],
    ],
  ],
  [2, "cpu", { cpu: 0.0001 }, [["cpu.max", "1000 100000"]]],
  [2, "pids", { processes: 10 }, [["pids.max", "10"]]],
  [2, "cpu", { memoryBytes: 1024 }, []],
] as const)("version %d holds to limits of %s: %j", (version, controller, limits, required) => {
  expect(groupSettings(version, controller, limits).required).toEqual(required);
});

test("kills for want of memory are counted by either version", () => {
  expect(parseOomKills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")).toBe(3);
  expect(parseOomKills("low 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 1\n")).toBe(2);
  expect(parseOomKills("")).toBe(0);
});

/** A tree of files where version 2 of control groups would be. */
async function fakeTree(procs: string, controllers: string): Promise<string> {
  const own = await temporary();
  await writeFile(join(own, "cgroup.procs"), `${procs}\n`);
  await writeFile(join(own, "cgroup.subtree_control"), controllers);
  return own;
}
const version2 = (own: string) => ({ version: 2, folders: { memory: own, cpu: own, pids: own } }) as const;

test("with version 2 a replica gets a group with its limits, below the platform's", async () => {
  const own = await fakeTree("1", "memory cpu pids");
  await mkdir(join(own, "faaslane-7"));
  await writeFile(join(own, "faaslane-7", "cgroup.subtree_control"), "memory cpu pids");
  const cgroups = await openCgroups(version2(own), 7);
  expect([...(cgroups?.controllers ?? [])].sort()).toEqual(["cpu", "memory", "pids"]);
  const group = await cgroups?.open("fn-1-ab", { memoryBytes: 2 ** 26, cpu: 2, processes: 9 });
  const file = (name: string) => readFile(join(own, "faaslane-7", "fn-1-ab", name), "utf8");
  expect(await Promise.all(["memory.max", "memory.oom.group", "cpu.max", "pids.max"].map(file))).toEqual([
    "67108864",
    "1",
    "200000 100000",
    "9",
  ]);
  expect(group?.entrances).toEqual([join(own, "faaslane-7", "fn-1-ab", "cgroup.procs")]);
  expect(await group?.outOfMemory()).toBe(false);
  await writeFile(join(own, "faaslane-7", "fn-1-ab", "memory.events"), "oom_kill 1\n");
  expect(await group?.outOfMemory()).toBe(true);
});

test("where nothing can be written there are no control groups", async () => {
  expect(await openCgroups(version2("/nowhere"), 7)).toBeUndefined();
  expect(await openCgroups(undefined, 7)).toBeUndefined();
});

const process = (pid: number, parent: number, group: number): ProcessInfo => ({
  pid,
  parent,
  group,
  state: "S",
  cpuTicks: 0,
  residentPages: 1,
});

test("a replica is all that descends from its first process, and all of its group", () => {
  const all = [
    process(1, 0, 1),
    // Its child has a lower id, as ids are used again, and a session of its own.
    process(5, 20, 5),
    process(6, 5, 5),
    process(10, 1, 10),
    process(20, 10, 10),
    process(30, 1, 10),
    process(40, 1, 40),
  ];
  expect(
    replicaProcesses([10], all)
      .map(({ pid }) => pid)
      .sort((a, b) => a - b),
  ).toEqual([5, 6, 10, 20, 30]);
});

test("memory that is shared counts in part", () => {
  expect(parseProportionalBytes("Rss:    2000 kB\nPss:    1000 kB\nPss_Anon:  10 kB\n")).toBe(1000 * 1024);
  expect(parseProportionalBytes(undefined)).toBeUndefined();
});

test.each<[limit: string | undefined, bytes: number | undefined]>([
  ["64Mi", 128 * 2 ** 20],
  ["1G", 1e9 + 64 * 2 ** 20],
  ["30m", undefined],
  ["0", undefined],
  [undefined, undefined],
])("a limit of %s, and what a watchdog may take", (limit, bytes) => {
  expect(enforcedMemory(limit)).toBe(bytes);
});

test.each<[code: number, signal: string | undefined]>([
  [137, "SIGKILL"],
  [139, "SIGSEGV"],
  [1, undefined],
  [128, undefined],
  [255, undefined],
])("exit code %d of what encloses a process means %s", (code, signal) => {
  expect(signalOfCode(code)).toBe(signal);
});

test("a full heap is a lack of memory", () => {
  const said = ["FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"];
  expect(readEnd({ kind: "killed", signal: "SIGABRT" }, said)).toEqual({ kind: "outOfMemory", limit: undefined });
  expect(readEnd({ kind: "exited", code: 1 }, said)).toEqual({ kind: "exited", code: 1 });
  expect(describeProblem({ kind: "outOfMemory", limit: "64Mi" }, 1, undefined)).toBe(
    "OOMKilled, used more than its limit of 64Mi of memory, 1 restart",
  );
});

test("a command in harness joins its groups first, whatever they are called", () => {
  expect(harness(["a", "b c"], { entrances: [] })).toEqual(["a", "b c"]);
  const [shell, flag, script = "", name, ...rest] = harness(["a", "b c"], { entrances: ["/it's/procs"], openFiles: 9 });
  expect([shell, flag, name, rest]).toEqual(["/bin/sh", "-c", "sh", ["a", "b c"]]);
  expect(script.split("\n")).toEqual([
    `echo 0 >'/it'\\''s/procs' || exit 126`,
    "ulimit -n 9 2>/dev/null",
    "unset PWD OLDPWD SHLVL",
    'exec "$@"',
  ]);
});

const places = (home: string) => ({ shown: ["/usr", "/bin"], guarded: [home, join(home, ".local")] });

test("a program comes with its installation, but never with a person's folder", async () => {
  const home = await temporary();
  const put = async (path: string) => {
    await mkdir(join(home, path, ".."), { recursive: true });
    await writeFile(join(home, path), "", { mode: 0o755 });
  };
  for (const path of ["tool/1.2/bin/tool", "bin/script", ".local/bin/snake", "tool/1.2/private"]) await put(path);
  await symlink(join(home, "tool/1.2/bin/tool"), join(home, "bin/linked"));
  const path = ["tool/1.2/bin", "bin", ".local/bin"].map((folder) => join(home, folder)).join(":");
  const of = async (...names: string[]) =>
    (await pathsOfPrograms(names, path, places(home))).map((p) => p.slice(home.length));
  expect(await of("tool")).toEqual(["/tool/1.2"]);
  expect(await of("script")).toEqual(["/bin/script"]);
  expect(await of("snake")).toEqual(["/.local/bin/snake"]);
  expect(await of("linked")).toEqual(["/bin/linked", "/tool/1.2"]);
  expect(await of("linked", "tool", "no-such-program")).toEqual(["/bin/linked", "/tool/1.2"]);
  expect(await pathsOfPrograms(["sh", "./relative"], "/bin", places(home))).toEqual([]);
});

test("what is hidden stays so inside of what is shown", () => {
  const wall = new Wall({
    program: "bwrap",
    shown: [{ kind: "bind", path: "/usr", from: "/usr" }],
    hidden: ["/usr/src/app/.faaslane", "/home/somebody"],
    codeFolder: "/home/app",
    userNamespace: true,
    tmpBytes: 1024,
  });
  const cell = { code: "/data/code", readOnly: true, programs: ["/opt/x"], network: false };
  const line = wall.enclose(cell, ["true"]).join(" ");
  expect(line).toMatch(
    /--ro-bind \/usr \/usr .*--tmpfs \/usr\/src\/app\/\.faaslane .*--remount-ro \/usr\/src\/app\/\.faaslane/,
  );
  expect(line).not.toContain("/home/somebody");
  expect(line).toMatch(/--unshare-net/);
  expect(line).toMatch(/--ro-bind \/data\/code \/home\/app --remount-ro .* -- true$/);
});

test("code is where nothing else has to be", () => {
  expect(chooseCodeFolder(["/usr/bin", "/home/apple/.nvm/bin"])).toBe("/home/app");
  expect(chooseCodeFolder(["/home/app/.nvm/bin"])).toBe("/srv/app");
  expect(isWithin("/a/b", "/a/bc")).toBe(false);
});

test("without a wall, what holds something of the platform may not be read as a whole", () => {
  const flags = permissionsWithoutWall(
    {
      code: "/data/code",
      readOnly: true,
      secrets: "/data/secrets",
      tmp: "/data/tmp",
      watchdog: "/w.mjs",
      system: ["/usr", "/bin"],
      hidden: ["/usr/src/app/.faaslane"],
    },
    22,
  );
  expect(flags).toContain("--allow-fs-read=/bin");
  expect(flags).not.toContain("--allow-fs-read=/usr");
  expect(flags.filter((flag) => flag.startsWith("--allow-fs-write"))).toEqual(["--allow-fs-write=/data/tmp"]);
  expect(flags.join()).not.toMatch(/child-process|addons|worker/);
});

test.each<[what: object, walled: boolean, expected: RegExp[]]>([
  [{ constraints: ["gpu=yes"] }, true, [/^constraints: /]],
  [{ limits: { memory: "30m" } }, true, [/^limits\.memory: "30m" is less/]],
  [{ limits: { memory: "64Mi", cpu: "100m" } }, true, [/^limits\.cpu: /]],
  [
    { readOnlyRootFilesystem: true, secrets: ["key"] },
    false,
    [/^readOnlyRootFilesystem: /, /^secrets: .*FAASLANE_SECRETS_DIR/],
  ],
  [{ readOnlyRootFilesystem: true, secrets: ["key"] }, true, []],
  [{}, false, []],
])("of %j, walled: %j, a deploy says what does not hold", (what, walled, expected) => {
  const said = deploymentWarnings(deployment("fn", "x", what), { walled, cpu: false });
  expect(said).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
});

test.each<[value: string | undefined, walled: boolean, expected: RegExp[]]>([
  ["none", true, []],
  ["host", false, []],
  [undefined, false, []],
  ["none", false, [/needs a sandbox/]],
  ["None", true, [/must be none or host/]],
])("network %s, walled: %j", (value, walled, expected) => {
  const annotations = value === undefined ? {} : { "com.faaslane.network": value };
  expect(networkWarnings({ annotations })).toHaveLength(value === "none" ? 1 : 0);
  expect(networkProblems({ annotations }, walled)).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
});
