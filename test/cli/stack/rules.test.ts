// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax of stack files

import { describe, expect, test } from "@jest/globals";
import { CliError } from "../../../cli/errors.ts";
import { parseEnvironmentFile, resolveEnvironment } from "../../../cli/stack/environment.ts";
import { type GatewaySources, resolveGatewayUrl } from "../../../cli/stack/gateway-url.ts";
import { parseTagMode, type TagMode, tagImage } from "../../../cli/stack/image-tag.ts";
import { selectFunctions } from "../../../cli/stack/select.ts";
import { parseTemplate } from "../../../cli/stack/template.ts";
import type { StackFunction } from "../../../cli/stack/types.ts";

const DEFAULT = "http://127.0.0.1:8080";

describe("which gateway is meant", () => {
  test.each<[rule: string, given: GatewaySources, expected: string]>([
    ["the default when nobody says anything", {}, DEFAULT],
    ["the flag wins", { flag: "http://flag", stack: "http://stack", env: "http://env" }, "http://flag"],
    ["then the stack file", { stack: "http://stack", env: "http://env" }, "http://stack"],
    ["then the environment", { env: "http://env" }, "http://env"],
    ["a flag that repeats the default says nothing", { flag: DEFAULT, stack: "http://stack" }, "http://stack"],
    ["a stack file that repeats the default says nothing", { stack: `${DEFAULT}/`, env: "http://env" }, "http://env"],
    ["trailing slashes go", { flag: "http://a:80/base//" }, "http://a:80/base"],
    ["it is lower-cased", { flag: "HTTP://Gateway.Example:8080" }, "http://gateway.example:8080"],
    ["a scheme is added", { env: "gateway:8080" }, "http://gateway:8080"],
    ["https stays", { env: "https://gateway" }, "https://gateway"],
  ])("%s", (_rule, given, expected) => {
    expect(resolveGatewayUrl(given)).toBe(expected);
  });

  test("logs and login take the flag at its word", () => {
    expect(resolveGatewayUrl({ flag: DEFAULT, stack: "http://stack", env: "http://env" }, true)).toBe(DEFAULT);
  });
});

describe("the environment of a function", () => {
  const files: Readonly<Record<string, string>> = {
    "one.yml": "environment:\n  A: one\n  B: 1.10\n  C: ${NOT_SUBSTITUTED}\n",
    "two.yml": "environment: {B: two, D: on}",
    "none.yml": "other: x",
  };
  const read = async (path: string) => files[path] ?? Promise.reject(new CliError(`cannot read ${path}`));
  const resolve = (environmentFiles: string[], flags = {}) =>
    resolveEnvironment({ environment: { A: "inline", Z: "inline" }, environmentFiles }, flags, read);

  test("later files win over earlier ones, files over what is inline, flags over all", async () => {
    expect(await resolve([])).toEqual({ A: "inline", Z: "inline" });
    expect(await resolve(["one.yml", "none.yml"])).toEqual({
      A: "one",
      B: "1.10",
      C: "${NOT_SUBSTITUTED}",
      Z: "inline",
    });
    expect(await resolve(["one.yml", "two.yml"], { D: "flag" })).toMatchObject({ A: "one", B: "two", D: "flag" });
    expect(await resolve(["two.yml", "one.yml"])).toMatchObject({ B: "1.10", D: "on" });
  });

  test("a file that is missing or wrong is an error", async () => {
    await expect(resolve(["nowhere.yml"])).rejects.toThrow("cannot read nowhere.yml");
    expect(() => parseEnvironmentFile("environment: [a]", "e.yml")).toThrow(
      "e.yml:1:14: environment: must be a mapping",
    );
  });
});

describe("filters", () => {
  const functions = ["web", "web-admin", "admin.x", "web_3"].map((name) => ({ name }) as StackFunction);
  const names = (selection: Parameters<typeof selectFunctions>[1]) =>
    selectFunctions(functions, selection).map(({ name }) => name);

  test.each<[rule: string, selection: Parameters<typeof selectFunctions>[1], expected: string[]]>([
    ["no filter takes all", {}, ["web", "web-admin", "admin.x", "web_3"]],
    ["a glob matches the whole name", { filter: "web" }, ["web"]],
    ["a star is anything", { filter: "web*" }, ["web", "web-admin", "web_3"]],
    ["a star may be nothing", { filter: "*web*" }, ["web", "web-admin", "web_3"]],
    ["only the star is special", { filter: "admin.?" }, []],
    ["a dot is a dot", { filter: "admin.x" }, ["admin.x"]],
    ["an expression matches anywhere", { regex: "min" }, ["web-admin", "admin.x"]],
    ["an anchored expression", { regex: "^web.\\d$" }, ["web_3"]],
  ])("%s", (_rule, selection, expected) => {
    if (expected.length === 0) expect(() => names(selection)).toThrow("no function of the stack file matches");
    else expect(names(selection)).toEqual(expected);
  });

  test("both at once, or an expression that is none, are errors", () => {
    expect(() => names({ filter: "a", regex: "b" })).toThrow("--filter and --regex cannot be used together");
    expect(() => names({ regex: "(" })).toThrow("is not a regular expression");
  });
});

describe("image tags", () => {
  const facts = {
    sha: async () => "abc1234",
    branch: async () => "feature/x",
    describe: async () => "v1.2-3-gabc1234",
    digest: async () => "d41d8cd98f00b204e9800998ecf8427e",
  };
  test.each<[image: string, mode: TagMode, expected: string]>([
    ["hello", "latest", "hello:latest"],
    ["hello:1.0", "latest", "hello:1.0"],
    ["registry:5000/hello", "latest", "registry:5000/hello:latest"],
    ["hello@sha256:00", "latest", "hello@sha256:00"],
    ["hello", "sha", "hello:latest-abc1234"],
    ["hello:1.0", "sha", "hello:1.0-abc1234"],
    ["hello:1.0", "branch", "hello:1.0-feature-x-abc1234"],
    ["registry:5000/hello:1.0", "describe", "registry:5000/hello:1.0-v1.2-3-gabc1234"],
    ["registry:5000/hello", "digest", "registry:5000/hello:d41d8cd98f00b204e9800998ecf8427e"],
    ["hello:1.0", "digest", "hello:d41d8cd98f00b204e9800998ecf8427e"],
  ])("%s by %s", async (image, mode, expected) => {
    expect(await tagImage(image, mode, facts)).toBe(expected);
  });

  test("modes", () => {
    expect([parseTagMode(""), parseTagMode("default"), parseTagMode("sha")]).toEqual(["latest", "latest", "sha"]);
    expect(() => parseTagMode("date")).toThrow("--tag must be one of latest, sha, branch, describe, digest");
  });
});

test("template.yml", () => {
  const text =
    "language: x\nfprocess: run me\nhandler_folder: src\nbuild_options:\n  - name: dev\n    packages: [make, gcc]\nunknown: 1\n";
  expect(parseTemplate(text, "template.yml")).toEqual({
    language: "x",
    fprocess: "run me",
    handlerFolder: "src",
    buildOptions: new Map([["dev", ["make", "gcc"]]]),
  });
  expect(parseTemplate("", "template.yml")).toEqual({ buildOptions: new Map() });
  expect(() => parseTemplate("build_options: {dev: x}", "t.yml")).toThrow("t.yml:1:16: build_options: must be a list");
});
