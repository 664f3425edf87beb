import { generateKeyPairSync } from "node:crypto";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { Certificates } from "../../kit/certificates.ts";
import { makeCertificate, writeCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let opened: Certificates | undefined;
let said: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  said = "";
});
afterEach(async () => {
  opened?.close();
  opened = undefined;
  await folder.remove();
});

const say = (...words: unknown[]) => {
  said += `${JSON.stringify(words)}\n`;
};
const log = { info: say, warn: say } as never;
const open = async (...pairs: Parameters<typeof Certificates.open>[0]) => {
  opened = await Certificates.open(pairs, { log, lookEveryMs: 10 });
  return opened;
};
const write = (name: string, made = makeCertificate(name, [name])) => writeCertificate(folder.path, name, made);

test("a certificate is chosen by the name that is asked for; the first is for all others", async () => {
  const certificates = await open(
    await write("a", makeCertificate("a", ["a.example.com", "*.wild.example.com"])),
    await write("b", makeCertificate("b", ["B.example.com", "a.example.com"])),
    await write("old", makeCertificate("old.example.com")),
  );
  const [first, second, third] = ["a", "b.example.com", "old.example.com"].map((name) => certificates.contextFor(name));
  expect(new Set([first, second, third]).size).toBe(3);
  for (const [name, context] of [
    ["a.example.com", first],
    ["A.EXAMPLE.com.", first],
    ["x.wild.example.com", first],
    ["x.y.wild.example.com", first],
    ["wild.example.com", first],
    ["b.example.com", second],
    ["old.example.com", third],
    ["x.b.example.com", first],
    ["*.example.com", first],
    ["", first],
    [".", first],
    ["constructor", first],
    ["a".repeat(10_000), first],
    ["\0", first],
  ] as const) {
    expect([name, certificates.contextFor(name) === context]).toEqual([name, true]);
  }
});

test.each<[what: string, spoil: () => Promise<unknown>, line: RegExp]>([
  ["no certificate file", () => rm(join(folder.path, "a.crt")), /^tls_cert_file: cannot read \S+a.crt: ENOENT$/],
  ["no key file", () => rm(join(folder.path, "a.key")), /^tls_key_file: cannot read \S+a.key: ENOENT$/],
  [
    "a folder",
    async () => {
      await rm(join(folder.path, "a.key"));
      await mkdir(join(folder.path, "a.key"));
    },
    /^tls_key_file: cannot read \S+a.key: EISDIR$/,
  ],
  [
    "the key of another",
    async () => writeFile(join(folder.path, "a.key"), makeCertificate("b").key),
    /^tls_key_file: \S+a.key is not the key of \S+a.crt$/,
  ],
  [
    "a key in the place of the certificate",
    async () => writeFile(join(folder.path, "a.crt"), makeCertificate("b").key),
    /^tls_cert_file: there is no certificate in PEM form in \S+a.crt$/,
  ],
  [
    "a certificate that is cut off",
    async () => writeFile(join(folder.path, "a.crt"), makeCertificate("a").cert.slice(0, 200)),
    /^tls_cert_file: \S+a.crt: [\w ]+$/,
  ],
  [
    "a key with a passphrase",
    async () => {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const format = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" } as const;
      await writeFile(join(folder.path, "a.key"), privateKey.export(format));
    },
    /^tls_key_file: \S+a.key needs a passphrase; give one that needs none$/,
  ],
  [
    "an empty file",
    () => writeFile(join(folder.path, "a.key"), ""),
    /^tls_key_file: there is no private key in PEM form/,
  ],
  [
    "a huge file",
    () => writeFile(join(folder.path, "a.crt"), Buffer.alloc(2 ** 21)),
    /^tls_cert_file: \S+ is over 1 MiB$/,
  ],
])("%s is one line at the start, and refused while running", async (_what, spoil, line) => {
  const pair = await write("a");
  const running = await Certificates.open([pair], { log, lookEveryMs: 10 });
  const before = running.default;
  try {
    await spoil();
    await expect(Certificates.open([pair], { log })).rejects.toThrow(line);
    await eventually("it is told", () => said.includes("the one before stays"));
    for (let i = 0; i < 3; i++) await running.refresh();
    expect([running.default === before, said.match(/the one before stays/g)?.length]).toEqual([true, 1]);
    expect(said).not.toMatch(/BEGIN|[A-Za-z0-9+/]{40}/);
    await rm(pair.keyFile, { recursive: true, force: true });
    await write("a");
    await eventually("the next one holds", () => running.default !== before);
  } finally {
    running.close();
  }
});

test("certificate and key that are replaced one after the other hold once they fit", async () => {
  const certificates = await open(await write("a", makeCertificate("a", ["a.example.com"])), await write("b"));
  const [a, b] = [certificates.contextFor("a.example.com"), certificates.contextFor("b")];
  const next = makeCertificate("a", ["new.example.com"]);
  await writeFile(join(folder.path, "a.crt.new"), next.cert);
  await rename(join(folder.path, "a.crt.new"), join(folder.path, "a.crt"));
  for (let i = 0; i < 3; i++) await certificates.refresh();
  expect(certificates.default).toBe(a);
  await writeFile(join(folder.path, "a.key"), next.key);
  await eventually("the new one holds", () => certificates.default !== a);
  expect(certificates.contextFor("b")).toBe(b);
  expect(said).toContain('"hosts":["new.example.com"]');
});

test("a mounted secret changes as the kubelet does it: by the link of its folder", async () => {
  for (const version of ["first", "second"]) {
    await mkdir(join(folder.path, `..${version}`));
    await writeCertificate(join(folder.path, `..${version}`), "tls", makeCertificate(version, [version]));
  }
  await symlink("..first", join(folder.path, "..data"));
  for (const name of ["tls.crt", "tls.key"]) await symlink(join("..data", name), join(folder.path, name));
  const certificates = await open({ certFile: join(folder.path, "tls.crt"), keyFile: join(folder.path, "tls.key") });
  const first = certificates.default;
  await symlink("..second", join(folder.path, "..data_tmp"));
  await rename(join(folder.path, "..data_tmp"), join(folder.path, "..data"));
  await eventually("it holds", () => certificates.default !== first);
  expect(said).toContain('"hosts":["second"]');
});

test("one that has expired is served, and warned of", async () => {
  await open(await write("a", makeCertificate("a", ["a"], -60_000)));
  expect(said).toContain("is not valid now");
});
