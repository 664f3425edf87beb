import { readdirSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { findTemplate, listTemplates } from "../../cli/build/templates.ts";
import { readDescriptor, readPart, TEMPLATES } from "./support/build-context.ts";

/** The variables that the last stage of a Dockerfile sets. */
function imageEnv(dockerfile: string): Record<string, string> {
  const text = dockerfile.slice(dockerfile.lastIndexOf("\nFROM ")).replace(/\\\n/g, " ");
  const settings = [...text.matchAll(/^ENV (.*)$/gm)].map(([, line]) => line).join(" ");
  return Object.fromEntries(
    [...settings.matchAll(/(\w+)=(?:"([^"]*)"|(\S+))/g)].map(([, name, quoted, bare]) => [name, quoted ?? bare]),
  );
}

/** Of dockerfile, the handler says it all. */
const names = (await listTemplates([TEMPLATES])).filter((name) => name !== "dockerfile");

describe.each(names)("%s", (name) => {
  const read = (file: string) => readPart(name, file);

  test("runs with the same settings with and without a container", async () => {
    const { NODE_COMPILE_CACHE: cache, ...settings } = imageEnv(await read("Dockerfile"));
    expect((await readDescriptor(name)).env).toEqual(settings);
    // What an image has compiled ahead lies in it.
    expect(cache).toBe("/home/app/.compile-cache");
  });

  test("names the same process when it is deployed", async () => {
    const { fprocess } = await findTemplate(name, [TEMPLATES]);
    expect((await readDescriptor(name)).env.fprocess).toBe(fprocess);
  });

  test("has an image that runs the watchdog, not as root, and installs as the local build does", async () => {
    const dockerfile = await read("Dockerfile");
    const ship = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
    expect(ship).toContain("\nUSER app\n");
    expect(ship).toContain("COPY --from=watchdog /watchdog.mjs /usr/bin/watchdog.mjs\n");
    expect(ship).toContain(
      '\nENTRYPOINT ["/usr/bin/tini", "-e", "143", "--"]\nCMD ["node", "/usr/bin/watchdog.mjs"]\n',
    );
    expect(ship).toContain("COPY --from=watchdog /tini /usr/bin/tini\n");
    expect(ship.indexOf("/tmp/warm.mjs")).toBeLessThan(ship.indexOf("\nUSER app\n"));
    const { install } = await readDescriptor(name);
    if (install !== undefined) expect(dockerfile).toContain(`\nRUN ${install.join(" ")}\n`);
  });

  test("has a sample handler", async () => {
    const { sample } = await findTemplate(name, [TEMPLATES]);
    expect(readdirSync(sample as string).filter((file) => /^(handler|index)\.\w+$/.test(file))).toHaveLength(1);
  });
});
