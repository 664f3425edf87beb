import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { openBox, publicKeyOf, sealBox } from "../../../cli/seal/box.ts";
import { poly1305 } from "../../../cli/seal/poly1305.ts";
import { makeWorkspace, runHere } from "../support/run-cli.ts";

/** Of TweetNaCl: `box("a" * 100)` with nonce 03…, from the key 01… to the public key of 02…. */
const KNOWN =
  "7076ce1bec76f82d9b97abaf4033d7ad824a1e6e4a775bcf456147161bcba19aab3bc1d409756b85373ad22713041b5273fba5d56389c0ce3a54247e7dbe4f8471fbb58256212ff24733ee927929bc4c55877d92f7f3f0053290311b853691ebfe47f0eae05d67826f1a58784f2774509da5f093";
const [ours, theirs, nonce] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(24, 3)];

describe("boxes", () => {
  test("are those of NaCl", () => {
    const message = Buffer.from("a".repeat(100));
    expect(sealBox(message, nonce, publicKeyOf(theirs), ours).toString("hex")).toBe(KNOWN);
    expect(openBox(Buffer.from(KNOWN, "hex"), nonce, publicKeyOf(ours), theirs)).toEqual(message);
  });

  test("are tagged as RFC 8439 says", () => {
    const key = Buffer.from("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b", "hex");
    const tag = poly1305(Buffer.from("Cryptographic Forum Research Group"), key);
    expect(tag.toString("hex")).toBe("a8061dc1305136c6c22b8baf0c0127a9");
  });

  test("of any length open to what they were made of, and not once a bit has changed", () => {
    for (const length of [0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 1000]) {
      const message = Buffer.alloc(length, 7);
      const box = sealBox(message, nonce, publicKeyOf(theirs), ours);
      expect(openBox(box, nonce, publicKeyOf(ours), theirs)).toEqual(message);
      const forged = Buffer.from(box);
      forged[length] = (forged[length] ?? 0) ^ 1;
      expect(openBox(forged, nonce, publicKeyOf(ours), theirs)).toBeUndefined();
    }
    expect(openBox(Buffer.alloc(15), nonce, publicKeyOf(ours), theirs)).toBeUndefined();
  });
});

describe("secret", () => {
  test("keygen, seal and unseal belong together", async () => {
    await using workspace = await makeWorkspace({ npmrc: "token=x\n", "home/.npmrc": "at home" });
    const run = (...args: string[]) => runHere(["secret", ...args], { cwd: workspace.path });
    const at = (name: string) => join(workspace.path, name);
    expect(await run("keygen")).toMatchObject({ code: 0, stderr: "" });
    expect((await stat(at("key"))).mode & 0o777).toBe(0o600);
    const files = ["--from-file", "npm=npmrc", "--from-file", "home=~/.npmrc"];
    expect(await run("seal", "key.pub", "--from-literal", "pw=a=b", ...files)).toEqual({
      code: 0,
      stdout: "Sealed pw, npm, home into com.openfaas.secrets\n",
      stderr: "",
    });
    const sealed = await readFile(at("com.openfaas.secrets"), "utf8");
    expect(sealed).not.toContain("token");
    expect(parse(sealed)).toMatchObject({
      version: "v1",
      algorithm: "nacl/box",
      key_id: (await readFile(at("key.pub"), "utf8")).slice(0, 8),
      public_key: expect.stringMatching(/^[\w+/]{43}=$/),
      secrets: { pw: expect.any(String), npm: expect.any(String), home: expect.any(String) },
    });
    const opened = await run("unseal", "key", "--json");
    expect(JSON.parse(opened.stdout)).toEqual({ pw: "a=b", npm: "token=x\n", home: "at home" });
    expect((await run("unseal", "key", "--key", "npm")).stdout).toBe("token=x\n");

    expect((await run("unseal", "key", "--key", "none")).stderr).toMatch(/has no secret none; it has pw, npm, home/);
    expect(await run("keygen", "-o", "other")).toMatchObject({ code: 0 });
    expect((await run("unseal", "other")).stderr).toMatch(/was sealed for the key \S{8}, and other is of \S{8}/);
    const damaged = sealed.replace(/pw: .{40}/, (text) => `${text.slice(0, -4)}AAAA`);
    await writeFile(at("com.openfaas.secrets"), damaged);
    expect((await run("unseal", "key")).stderr).toMatch(/pw is damaged, or was sealed for somebody else/);
  });

  test.each<[args: string, message: RegExp]>([
    ["seal npmrc --from-literal a=b", /npmrc must hold a key of 32 bytes in base64, as keygen writes it/],
    ["seal missing.pub --from-literal a=b", /cannot read missing.pub/],
    ["seal npmrc", /give what to seal with --from-literal/],
    ["seal npmrc --from-file a=none", /--from-file: cannot read none/],
    ["unseal npmrc --in npmrc", /npmrc: must have version v1|npmrc:1:1/],
    ["keygen -o npmrc", /cannot write npmrc: it is there already/],
    ["generate --length 0", /--length must be a whole number from 1 to 65536/],
    ["generate -o npmrc", /cannot write npmrc: it is there already/],
  ])("%s is refused", async (args, message) => {
    await using workspace = await makeWorkspace({ npmrc: "token: x\n" });
    const { code, stdout, stderr } = await runHere(["secret", ...args.split(" ")], { cwd: workspace.path });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test("generate makes as many random bytes as are wanted", async () => {
    await using workspace = await makeWorkspace();
    const run = (...args: string[]) => runHere(["secret", "generate", ...args], { cwd: workspace.path });
    const [first, second] = [await run(), await run()];
    expect(Buffer.from(first.stdout, "base64")).toHaveLength(32);
    expect(first.stdout).not.toBe(second.stdout);
    expect(await run("--length", "5", "-o", "value")).toEqual({ code: 0, stdout: "", stderr: "" });
    const text = await readFile(join(workspace.path, "value"), "utf8");
    expect([Buffer.from(text, "base64").length, text.endsWith("=")]).toEqual([5, true]);
  });
});
