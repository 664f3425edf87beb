import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { makeRepository } from "../cli/support/template-repository.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { Platform, runCli, temporaryFolder } from "../support/platform.ts";
import { missingPrograms } from "../templates/support/programs.ts";

/** Languages that faaslane brings no template for come from repositories, whose templates need not know of it. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path });
});
afterAll(async () => {
  platform?.kill("SIGKILL");
  await platform?.ended;
  await folder?.remove();
});

const cli = (...args: string[]) =>
  runCli(args, { cwd: folder.path, env: { OPENFAAS_URL: platform.url, data_dir: join(folder.path, "data") } });

/** A template of the classic watchdog, as there are for many languages: no `faaslane.json`. */
const PERL = {
  "template/perl5/template.yml": "language: perl5\nfprocess: perl index.pl\n",
  "template/perl5/Dockerfile": `FROM --platform=\${TARGETPLATFORM:-linux/amd64} ghcr.io/openfaas/classic-watchdog:0.3.4 AS watchdog
FROM perl:5-slim
COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog
RUN chmod +x /usr/bin/fwatchdog
ARG ADDITIONAL_PACKAGE
RUN apt-get update \\
    && apt-get install -y \${ADDITIONAL_PACKAGE} \\
    && rm -rf /var/lib/apt/lists/*
RUN groupadd app && useradd -r -g app app
WORKDIR /home/app
COPY index.pl .
COPY function function
RUN chown -R app:app /home/app
USER app
ENV fprocess="perl index.pl"
HEALTHCHECK --interval=3s CMD [ -e /tmp/.lock ] || exit 1
CMD ["fwatchdog"]
`,
  "template/perl5/index.pl":
    'use strict;\nuse lib "./function";\nuse Handler;\nlocal $/;\nmy $body = <STDIN>;\nprint Handler::handle($body);\n',
  "template/perl5/function/Handler.pm": "package Handler;\nsub handle { return $_[0]; }\n1;\n",
};

testNeeding(unlessRequired(missingPrograms("git", "perl")))(
  "a template of others, which the stack file names, is fetched, built and called",
  async () => {
    await using repository = await makeRepository(PERL);
    const files = {
      "shout/Handler.pm": "package Handler;\nsub handle { return uc($_[0]); }\n1;\n",
      "stack.yml": `version: 1.0
provider: { name: openfaas }
functions:
  shout: { lang: perl5, handler: ./shout, image: shout:latest }
configuration:
  templates:
    - { name: perl5, source: "file://${repository.path}#main" }
`,
    };
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder.path, path)), { recursive: true });
      await writeFile(join(folder.path, path), text);
    }
    const up = await cli("up");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    expect(up.stdout).toContain("Fetching template perl5 from file://");
    const answer = await fetch(`${platform.url}/function/shout`, { method: "POST", body: "hello" });
    expect([answer.status, (await answer.text()).trim()]).toEqual([200, "HELLO"]);
    const made = await cli("new", "other", "--lang", "perl5", "--append", "stack.yml");
    expect([made.code, made.stderr]).toEqual([0, ""]);
  },
  120_000,
);

test("a function of our own store is built, deployed and called", async () => {
  const deployed = await cli("store", "deploy", "NodeInfo", "--name", "info");
  expect([deployed.code, deployed.stderr]).toEqual([0, ""]);
  const answer = await fetch(`${platform.url}/function/info`, { method: "POST", body: "verbose" });
  expect(await answer.json()).toMatchObject({ platform: process.platform, memory: expect.any(Object) });
}, 120_000);
