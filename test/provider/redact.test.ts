import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { redact, sensitiveValues } from "../../provider/backends/redact.ts";

const SECRET = 'hünter 2/?+"&x';
const base64 = (text: string) => Buffer.from(text).toString("base64");

test.each<[form: string, text: string]>([
  ["as it is", SECRET],
  ["in a URL", encodeURIComponent(SECRET)],
  ["in a URL with small letters", encodeURIComponent(SECRET).replace(/%../g, (code) => code.toLowerCase())],
  ["in a form", encodeURIComponent(SECRET).replaceAll("%20", "+")],
  ["in JSON", JSON.stringify(SECRET).slice(1, -1)],
  ["in JSON within JSON", JSON.stringify(JSON.stringify(SECRET)).slice(3, -3)],
  ["in base64", base64(SECRET)],
  ["in base64 for URLs", Buffer.from(SECRET).toString("base64url")],
  ["in hexadecimal", Buffer.from(SECRET).toString("hex")],
])("a secret %s is blanked out", (_form, text) => {
  expect(redact(`error: ${text} is wrong`, [SECRET])).toMatch(/^error: \*\*\*[\w=]{0,4} is wrong$/);
});

test("a secret in base64 behind anything and before anything is blanked out", () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 9 }),
      fc.string({ maxLength: 9 }),
      fc.string({ minLength: 8 }),
      (a, b, secret) => {
        fc.pre(secret.trim() === secret && !secret.includes("\n"));
        const text = base64(a + secret + b);
        const shown = redact(text, [secret]);
        // What is left belongs to the other characters, and to the bits that they share with the first and last.
        expect(shown).toContain("***");
        expect(shown.length).toBeLessThan(4 * Math.ceil((Buffer.byteLength(a + b) + 4) / 3) + 8);
      },
    ),
  );
});

test("each line of a secret is blanked out, and what is too short stays", () => {
  expect(redact("token hunter2 and hunter2", ["hunter2\n", "a"])).toBe("token *** and ***");
  expect(redact("-- line two --", ["line one\nline two\n"])).toBe("-- *** --");
});

test.each([
  ["no database at postgres://app:s3cr3t@db:5432/x", "no database at postgres://***@db:5432/x"],
  ["no queue at amqps://token@mq.example/", "no queue at amqps://***@mq.example/"],
  ["401: Authorization: Bearer eyJhbGciOi.J9-x_y", "401: Authorization: Bearer ***"],
  ["401: basic  YWRtaW46cGFzcw==", "401: basic  ***"],
  ["http://db:5432/a@b and mail@example.com", "http://db:5432/a@b and mail@example.com"],
])("credentials of URLs and headers go: %s", (text, expected) => {
  expect(redact(text, [])).toBe(expected);
});

test("variables that look like secrets are, by name or by what they are", () => {
  const found = sensitiveValues({
    DB_PASSWORD: "hunter2!",
    API_KEY: "abcdef",
    DATABASE_URL: "postgres://app:p%40ss@db/x",
    basic_auth: "true",
    mode: "classic",
    fprocess: "node index.js",
    upstream_url: "http://127.0.0.1:3000",
  });
  expect(found).toEqual(["hunter2!", "abcdef", "postgres://app:p%40ss@db/x", "p%40ss", "p@ss"]);
});

test("a text of nothing but secrets, and a secret of megabytes, take no time", () => {
  const startedAt = performance.now();
  redact("a".repeat(200_000), ["a".repeat(4_000_000), "b\n".repeat(100_000), "aaaa"]);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});
