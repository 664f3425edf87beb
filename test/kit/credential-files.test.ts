import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { isAuthorized } from "../../kit/basic-auth.ts";
import { CredentialFiles, loginWith } from "../../kit/credential-files.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let files: CredentialFiles;
let said: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  said = "";
});
afterEach(async () => {
  files.close();
  await folder.remove();
});

const say = (...words: unknown[]) => {
  said += JSON.stringify(words);
};
const log = { info: say, warn: say } as never;

const put = (name: string, text: string) => writeFile(join(folder.path, name), text);
const open = async (lookEveryMs = 5, overlapMs = 0) => {
  files = await CredentialFiles.open(folder.path, { log, lookEveryMs, overlapMs });
};
const basic = (password: string) => `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;

async function begin(lookEveryMs?: number, overlapMs?: number): Promise<void> {
  await put("basic-auth-user", "admin");
  await put("basic-auth-password", "first");
  await open(lookEveryMs, overlapMs);
}

test.each<[how: string, change: () => Promise<void>]>([
  ["written in place", () => put("basic-auth-password", "second\n")],
  [
    "renamed into place",
    async () => {
      await put("draft", "second");
      await rename(join(folder.path, "draft"), join(folder.path, "basic-auth-password"));
    },
  ],
])("a password that is %s holds, and the one before no more", async (_how, change) => {
  await begin();
  await change();
  await eventually("it holds", () => isAuthorized(basic("second"), files));
  expect(isAuthorized(basic("first"), files)).toBe(false);
  expect(said).toContain("the credentials have changed");
  expect(said).not.toMatch(/first|second/);
});

test("the password before a change holds for a while beside the new one, no other does", async () => {
  await begin(5, 600_000);
  for (const next of ["second", "third"]) {
    await put("basic-auth-password", next);
    await eventually("it holds", () => isAuthorized(basic(next), files));
  }
  const taken = ["first", "second", "third", "", "second "].filter((password) => isAuthorized(basic(password), files));
  expect(taken).toEqual(["second", "third"]);
});

test("the while ends", async () => {
  await begin(5, 300);
  await put("basic-auth-password", "second");
  await eventually("it holds", () => isAuthorized(basic("second"), files));
  await eventually("the first one no more", () => !isAuthorized(basic("first"), files));
  expect(isAuthorized(basic("second"), files)).toBe(true);
});

test("a mounted secret changes as the kubelet does it: by the link of its folder", async () => {
  for (const version of ["first", "second"]) {
    await mkdir(join(folder.path, `..${version}`));
    await put(`..${version}/basic-auth-user`, "admin");
    await put(`..${version}/basic-auth-password`, version);
  }
  await symlink("..first", join(folder.path, "..data"));
  for (const name of ["basic-auth-user", "basic-auth-password"]) {
    await symlink(join("..data", name), join(folder.path, name));
  }
  await open();
  expect(isAuthorized(basic("first"), files)).toBe(true);
  await symlink("..second", join(folder.path, "..data_tmp"));
  await rename(join(folder.path, "..data_tmp"), join(folder.path, "..data"));
  await eventually("it holds", () => isAuthorized(basic("second"), files));
});

test.each<[how: string, change: () => Promise<void>]>([
  ["missing", () => rm(join(folder.path, "basic-auth-password"))],
  ["empty", () => put("basic-auth-password", " \n")],
  [
    "a folder",
    async () => {
      await rm(join(folder.path, "basic-auth-password"));
      await mkdir(join(folder.path, "basic-auth-password"));
    },
  ],
])("while the file is %s the old password holds, and that is told once", async (_how, change) => {
  await begin();
  await change();
  await eventually("it is told", () => said.includes("the ones known so far hold"));
  for (let i = 0; i < 3; i++) await files.refresh();
  expect([isAuthorized(basic("first"), files), isAuthorized(basic(""), files)]).toEqual([true, false]);
  expect(said.match(/known so far/g)).toHaveLength(1);
  await rm(join(folder.path, "basic-auth-password"), { recursive: true, force: true });
  await put("basic-auth-password", "second");
  await eventually("the next one holds", () => isAuthorized(basic("second"), files));
});

test("a client whose login is refused tries what is there by now, and what was before", async () => {
  await begin(600_000);
  const login = loginWith(files);
  expect(await login.instead(basic("first"))).toBeUndefined();
  await put("basic-auth-password", "second");
  expect(login.header()).toBe(basic("first"));
  expect(await login.instead(basic("first"))).toBe(basic("second"));
  // The server may not have seen it yet.
  expect([login.header(), await login.instead(basic("second"))]).toEqual([basic("second"), basic("first")]);
});

test("credentials that are no files never change", async () => {
  await begin();
  const login = loginWith({ user: "admin", password: "fixed" });
  expect([login.header(), await login.instead(basic("fixed"))]).toEqual([basic("fixed"), undefined]);
});
