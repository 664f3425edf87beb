import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ensurePrivateFile, ensurePrivateFolder } from "../../kit/private-folder.ts";
import { describeNeeding } from "../support/needing.ts";
import { ROOT } from "../support/platform.ts";

let top = "";
beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), "faaslane-private-"));
  chmodSync(top, 0o755);
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

const modeOf = (path: string) => statSync(path).mode & 0o7777;

test("a folder that is missing is made with its parents, for this user alone", () => {
  ensurePrivateFolder(join(top, "a/b"));
  expect([modeOf(join(top, "a")), modeOf(join(top, "a/b"))]).toEqual([0o700, 0o700]);
});

test("what was there and is ours is taken from others", () => {
  mkdirSync(join(top, "open"));
  chmodSync(join(top, "open"), 0o755);
  ensurePrivateFolder(join(top, "open"));
  expect(modeOf(join(top, "open"))).toBe(0o700);
  writeFileSync(join(top, "file"), "", { mode: 0o644 });
  ensurePrivateFile(join(top, "file"));
  expect(modeOf(join(top, "file"))).toBe(0o600);
});

const describeAsRoot = describeNeeding(
  process.geteuid?.() === 0 ? undefined : "only root can make folders that belong to somebody else",
);

/** The user and group that the chart runs the platform as. */
const OTHER = 65532;

/** What a process of another user comes to when it runs `code`. */
function asOther(code: string): { readonly status: number | null; readonly stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    uid: OTHER,
    gid: OTHER,
    cwd: "/",
    encoding: "utf8",
    env: { NODE_NO_WARNINGS: "1" },
  });
  return { status, stderr };
}

const lock = (folder: string) =>
  `const { lockFolder } = await import(${JSON.stringify(join(ROOT, "kit/folder-lock.ts"))});
   lockFolder(${JSON.stringify(folder)})();`;

describeAsRoot("what belongs to somebody else", () => {
  /** A folder as the kubelet leaves an emptyDir with `fsGroup`, or as told. */
  function folderOf(name: string, mode: number): string {
    const folder = join(top, name);
    mkdirSync(folder);
    chownSync(folder, 0, OTHER);
    chmodSync(folder, mode);
    return folder;
  }

  test("is used as it is when its group may: a volume of a pod", () => {
    const folder = folderOf("volume", 0o2777);
    expect(asOther(lock(folder))).toEqual({ status: 0, stderr: "" });
    expect([modeOf(folder), statSync(folder).uid]).toEqual([0o2777, 0]);
  });

  test("is refused when it cannot be written, with the reason", () => {
    const { status, stderr } = asOther(lock(folderOf("shut", 0o750)));
    expect(status).toBe(1);
    expect(stderr).toMatch(/data_dir: cannot use .*shut: EACCES/);
  });

  test("is used as it is when it is a file", () => {
    const folder = folderOf("restored", 0o2770);
    const file = join(folder, "provider.db");
    writeFileSync(file, "");
    chownSync(file, 0, OTHER);
    chmodSync(file, 0o660);
    const module = JSON.stringify(join(ROOT, "provider/backends/local/database.ts"));
    const { status, stderr } = asOther(
      `const { openDatabase } = await import(${module}); openDatabase(${JSON.stringify(folder)}).close();`,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(modeOf(file)).toBe(0o660);
  });
});
