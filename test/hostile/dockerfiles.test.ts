import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { followDockerfile } from "../../provider/backends/local/build/dockerfile/follow.ts";

/** What the Dockerfile of somebody else may try at the builder, before anything of it runs behind a wall. */
let top: string;
let context: string;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "faaslane-dockerfile-"));
  context = join(top, "build/context");
  await mkdir(context, { recursive: true });
  await writeFile(join(top, "secret"), "secret");
});
afterEach(() => rm(top, { recursive: true, force: true }));

async function follow(dockerfile: string, files: Readonly<Record<string, string>> = {}): Promise<unknown> {
  for (const [path, text] of Object.entries({ ...files, Dockerfile: dockerfile })) {
    await mkdir(dirname(join(context, path)), { recursive: true });
    await writeFile(join(context, path), text);
  }
  return await followDockerfile(context, {}).catch((error: Error) => error);
}

const HEAD = "FROM node:24\nWORKDIR /app\n";
const TAIL = '\nCMD ["node", "x.js"]\n';
const outside = async () => [(await readdir(top)).sort(), (await readdir(join(top, "build"))).sort()];

test.each([
  ["from above the context", "COPY ../../secret ."],
  ["from above the context, on a detour", "COPY a/../../../secret ."],
  ["from the root of the machine", "COPY /etc/passwd ."],
  ["by a pattern that leads out", "COPY ../../* ."],
])("copies %s bring nothing of the machine", async (_what, copy) => {
  expect(await follow(HEAD + copy + TAIL)).toBeInstanceOf(Error);
  expect(await outside()).toEqual([["build", "secret"], ["context"]]);
});

test.each([
  ["above the working directory", "COPY x.js ../../../../../../HIT"],
  ["to the root of the machine", "COPY x.js /HIT"],
  ["by a variable", "ENV OUT=/../../../HIT\nCOPY x.js $OUT"],
  ["by a folder that is made", "RUN mkdir -p /../../../HIT"],
  ["by a file that is made", "RUN touch ../../../../HIT"],
])("nothing is put outside of the artefact: %s", async (_what, lines) => {
  expect(await follow(HEAD + lines + TAIL, { "x.js": "1" })).toEqual(expect.any(Array));
  expect(await outside()).toEqual([["build", "secret"], ["context"]]);
  expect(existsSync("/HIT")).toBe(false);
});

test.each([
  ["a substitution", "RUN npm install $(touch HIT)"],
  ["a back quote", "RUN npm install `touch HIT`"],
  ["a pipe", "RUN npm install | sh"],
  ["a redirection", "RUN npm install > /HIT"],
  ["a program of its own", "RUN ./evil"],
])("no command comes in by %s", async (_what, run) => {
  expect(String(await follow(HEAD + run + TAIL))).toContain("cannot be done without a container engine");
});

test("what is quoted stays one word in the script", async () => {
  await follow(`${HEAD}RUN npm install "a' $HOME\\\` b"${TAIL}`);
  expect(await readFile(join(context, ".faaslane/install.sh"), "utf8")).toContain("npm install 'a'\\'' ` b'\n");
  expect(String(await follow(`${HEAD}RUN npm install "a'; touch HIT; '"${TAIL}`))).toContain("cannot be done");
});

test.each([
  ["of many instructions", "RUN true\n".repeat(10_000)],
  ["of long lines", `RUN true ${"a".repeat(100_000)}`],
  ["of lines that go on without end", "RUN true \\\n".repeat(20_000)],
])("a Dockerfile %s is refused", async (_what, lines) => {
  expect(String(await follow(HEAD + lines + TAIL))).toMatch(/Dockerfile: (is larger|has more) than/);
});

test("stages that build on each other in a circle are no stages", async () => {
  expect(String(await follow('FROM b AS a\nFROM a AS b\nCMD ["x"]\n'))).toContain('nothing is known of the image "b"');
});
