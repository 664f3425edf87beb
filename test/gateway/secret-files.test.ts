import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { CallbackSigner } from "../../gateway/async/callbacks/signer.ts";
import { followNatsCredentials, readNatsCredentials, readSigningSecrets } from "../../gateway/process/secret-files.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(() => folder.remove());

const put = (name: string, text: string) => writeFile(join(folder.path, name), text);

test("there may be no secrets at all, not even their folder", async () => {
  expect(await readNatsCredentials(folder.path)).toEqual({});
  expect(await readSigningSecrets(join(folder.path, "none"))).toEqual([]);
});

test("credentials are read from files, without the newline that editors leave", async () => {
  await put("nats-user", "me\n");
  await put("nats-password", " secret \n");
  await put("nats-creds", "-----BEGIN");
  expect(await readNatsCredentials(folder.path)).toEqual({
    user: "me",
    password: "secret",
    creds: Buffer.from("-----BEGIN"),
  });
});

test("a user without a password, an empty file and one that cannot be read stop the start, and name the file only", async () => {
  await put("nats-user", "me");
  await expect(readNatsCredentials(folder.path)).rejects.toThrow("needs both nats-user and nats-password");
  await put("nats-password", " \n");
  await expect(readNatsCredentials(folder.path)).rejects.toThrow(/nats-password is empty$/);
  await mkdir(join(folder.path, "callback-signing-secret"));
  await expect(readSigningSecrets(folder.path)).rejects.toThrow(/cannot read .*callback-signing-secret/);
});

test("what is written later is what the next login is made with, once it is whole", async () => {
  expect(followNatsCredentials(folder.path)).toEqual({});
  await put("nats-user", "me");
  await put("nats-password", "old");
  const followed = followNatsCredentials(folder.path);
  expect(followed.renew?.()).toEqual({ user: "me", password: "old" });
  await put("nats-password", "");
  expect(followed.renew?.()).toEqual({ user: "me", password: "old" });
  await rm(join(folder.path, "nats-password"));
  expect(followed.renew?.()).toEqual({ user: "me", password: "old" });
  await put("nats-password", "new");
  expect(followed.renew?.()).toEqual({ user: "me", password: "new" });
});

test("each line of the signing secret signs", async () => {
  await put("callback-signing-secret", "new\n\nold\n");
  expect(await readSigningSecrets(folder.path)).toEqual(["new", "old"]);
});

test("the guide's check of a signature takes genuine callbacks and no others", async () => {
  const guide = readFileSync(join(ROOT, "docs/async.md"), "utf8");
  const [, code = ""] = /```js\n([\s\S]*?)```/.exec(guide) ?? [];
  const check = (signature: string | undefined, body: string, secret: string) => {
    const headers = { "x-faaslane-signature": signature };
    const context = { createHmac, timingSafeEqual, Buffer, headers, body, secret };
    return runInNewContext(`${code}; genuine`, context) as boolean;
  };
  const sign = (now: number) => new CallbackSigner(["s1", "s2"]).begin(now).add(Buffer.from("body")).finish();
  const genuine = sign(Date.now());
  expect(check(genuine, "body", "s1")).toBe(true);
  expect(check(genuine, "body!", "s1")).toBe(false);
  expect(check(genuine, "body", "other")).toBe(false);
  expect(check(sign(Date.now() - 3600e3), "body", "s1")).toBe(false);
  expect(check(undefined, "body", "s1")).toBe(false);
  expect(check("t=1,v1=zz", "body", "s1")).toBe(false);
});
