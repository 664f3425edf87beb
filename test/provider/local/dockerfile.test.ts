import { describe, expect, test } from "@jest/globals";
import { expand, parseDockerfile, splitWords } from "../../../provider/backends/local/build/dockerfile/parse.ts";
import { type Plan, planDockerfile } from "../../../provider/backends/local/build/dockerfile/plan.ts";

const FILES = [
  "app.py",
  "requirements.txt",
  "index.py",
  "package.json",
  "main.go",
  "function/handler.py",
  "function/requirements.txt",
];
const FOLDERS = ["function"];

function plan(text: string, buildArgs: Readonly<Record<string, string>> = {}): Plan {
  const kindOf = (path: string) => {
    if (path === "." || FOLDERS.includes(path)) return "folder";
    return FILES.includes(path) ? "file" : undefined;
  };
  const list = (folder: string) => FILES.filter((path) => folder === "." && !path.includes("/"));
  return planDockerfile({ instructions: parseDockerfile(text), buildArgs, kindOf, list });
}

const FLASK = `# A tutorial's.
FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt .
RUN apt-get update && apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 5000
CMD ["python", "app.py"]
`;

test("the program of a tutorial: its files, its requirements, its command and its port", () => {
  expect(plan(FLASK)).toMatchObject({
    copies: [
      { from: "requirements.txt", to: "requirements.txt" },
      { from: ".", to: "." },
    ],
    script: [
      "set -eu",
      "ROOT=$(pwd)",
      'export PIP_ROOT_USER_ACTION=ignore PYTHONPATH="$ROOT/.faaslane/packages"',
      "PYTHON=$(python3 -c 'import sys; print(sys.executable)')",
      'cd "$ROOT"/.',
      '"$PYTHON" -m pip install --disable-pip-version-check --no-input --upgrade --target "$ROOT"/.faaslane/packages -r requirements.txt',
    ],
    start: "ROOT=$(pwd)\nexec python3 app.py\n",
    descriptor: {
      requires: ["python3"],
      env: { mode: "http", upstream_url: "http://127.0.0.1:0", faaslane_written_for_port: "5000" },
    },
    notes: ["of the system, not installed: gcc"],
  });
});

test("a template with a watchdog: its settings, and its stages as one", () => {
  const found = plan(
    `ARG PYTHON_VERSION=3.12
FROM --platform=\${TARGETPLATFORM:-linux/amd64} ghcr.io/openfaas/of-watchdog:0.10.7 AS watchdog
FROM --platform=\${TARGETPLATFORM:-linux/amd64} python:\${PYTHON_VERSION}-alpine AS build
COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog
RUN chmod +x /usr/bin/fwatchdog
ARG ADDITIONAL_PACKAGE
RUN apk --no-cache add \${ADDITIONAL_PACKAGE}
RUN addgroup -S app && adduser app -S -G app
ENV PATH=$PATH:/home/app/.local/bin
WORKDIR /home/app/
COPY --chown=app:app index.py .
RUN mkdir -p function \\
    && touch ./function/__init__.py
WORKDIR /home/app/function/
COPY function/requirements.txt .
RUN pip install --no-cache-dir --user -r requirements.txt
COPY --chown=app:app function/ .
FROM build AS test
ARG TEST_COMMAND=tox
RUN [ "$TEST_COMMAND" = "" ] || eval "$TEST_COMMAND"
FROM build AS ship
WORKDIR /home/app/
USER app
ENV fprocess="python index.py"
ENV cgi_headers="true" mode="http" \\
    upstream_url="http://127.0.0.1:5000"
HEALTHCHECK --interval=5s CMD [ -e /tmp/.lock ] || exit 1
CMD ["fwatchdog"]
`,
    { ADDITIONAL_PACKAGE: "libpq" },
  );
  expect(found.copies).toEqual([
    { from: "index.py", to: "index.py" },
    { from: "function/requirements.txt", to: "function/requirements.txt" },
    { from: "function", to: "function" },
  ]);
  expect([found.folders, found.files, found.notes]).toEqual([
    ["function"],
    ["function/__init__.py"],
    ["of the system, not installed: libpq"],
  ]);
  expect(found.script.slice(-2)).toEqual([
    'cd "$ROOT"/function',
    expect.stringMatching(/^"\$PYTHON" -m pip .* -r requirements.txt$/),
  ]);
  expect(found.start).toBeUndefined();
  expect(found.descriptor.env).toMatchObject({
    fprocess: "python3 index.py",
    mode: "http",
    cgi_headers: "true",
    upstream_url: "http://127.0.0.1:0",
    faaslane_written_for_port: "5000",
  });
});

test.each([
  ["classic-watchdog:0.3", "", "classic"],
  ["of-watchdog:0.10", "", "streaming"],
  ["of-watchdog:0.10", "ENV mode=serializing\n", "serializing"],
])("%s has the mode that it has where none is set", (image, more, mode) => {
  const text = `FROM ghcr.io/openfaas/${image} AS w\nFROM alpine:3\nCOPY --from=w /fwatchdog /usr/bin/\n${more}ENV fprocess=cat\nCMD ["fwatchdog"]\n`;
  expect(plan(text).descriptor).toEqual({ requires: [], env: { mode, fprocess: "cat", prefix_logs: "false" } });
});

test("a program that another stage compiles is built here and started from where it was copied to", () => {
  const found = plan(
    'FROM golang:1.22 AS build\nWORKDIR /src\nCOPY . .\nRUN CGO_ENABLED=0 go build -o /out/app .\nFROM scratch\nCOPY --from=build /out/app /app\nENTRYPOINT ["/app"]\n',
  );
  expect(found.copies).toEqual([{ from: ".", to: "src" }]);
  expect(found.script).toEqual(expect.arrayContaining(['env CGO_ENABLED=0 go build -o "$ROOT"/out/app .']));
  expect(found.start).toContain('exec "$ROOT"/app');
  expect(found.descriptor).toMatchObject({ requires: ["go"], env: { upstream_url: "http://127.0.0.1:8080" } });
});

test.each<[what: string, text: string, message: string]>([
  [
    "an image of which nothing is known",
    "FROM example.com/secret:1\n",
    'line 1: nothing is known of the image "example.com/secret:1"',
  ],
  [
    "a command that is not known",
    'FROM node:24\nRUN curl -fsSL https://x | sh\nCMD ["node"]\n',
    "line 2: RUN curl -fsSL https://x | sh cannot be done",
  ],
  ["a file that is not there", "FROM node:24\nCOPY nothing.js .\n", "line 2: nothing.js is not in the build context"],
  [
    "a file of an image",
    "FROM node:24\nCOPY --from=redis:7 /bin/x /x\n",
    'line 2: files of the image "redis:7" are not here',
  ],
  ["a URL", "FROM node:24\nADD https://example.com/x /x\n", "line 2: ADD of a URL"],
  ["nothing to start", "FROM node:24\n", "has neither CMD nor ENTRYPOINT"],
  ["no stage", "ARG A=1\n", "has no FROM"],
  ["an instruction of its own", "FROM node:24\nINSTALL x\n", "line 2: INSTALL cannot be followed"],
])("a Dockerfile with %s says what cannot be followed, and what to add", (_what, text, message) => {
  expect(() => plan(text)).toThrow(message);
  expect(() => plan(text)).toThrow("add a faaslane.json such as");
});

describe("words and variables are those of a shell", () => {
  test.each<[text: string, words: readonly string[] | undefined]>([
    ['a  \'b c\' "d\\"e" f\\ g', ["a", "b c", 'd"e', "f g"]],
    ["a | b", undefined],
    ["a 'b", undefined],
    ["$(a)", undefined],
  ])("%s", (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  test.each([
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the syntax of Dockerfiles
    ["$A-${A}-${B:-b}-${A:+yes}-${C}-\\$A", "1-1-b-yes--$A"],
  ])("%s", (text, expected) => {
    expect(expand(text, new Map([["A", "1"]]))).toBe(expected);
  });
});
