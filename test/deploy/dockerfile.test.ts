import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { builtinModules } from "node:module";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { TOOLS } from "../../deploy/build-package.mjs";
import { ROOT } from "../support/platform.ts";
import { render } from "./chart-support.ts";
import { copies, entrypoint, imageVariables, instruction, layOutImage, PLATFORM, parseDockerfile } from "./image.ts";

describe.each(["deploy/Dockerfile", "deploy/watchdog.Dockerfile"])("%s", (path) => {
  const stages = parseDockerfile(path);
  const ignored = readFileSync(join(ROOT, ".dockerignore"), "utf8").split("\n").filter(Boolean);

  test("copies what there is, from stages that come before", () => {
    for (const [index, stage] of stages.entries()) {
      for (const { stage: from, sources } of copies(stage)) {
        if (from === undefined) {
          expect(sources.filter((source) => !existsSync(join(ROOT, source)) || ignored.includes(source))).toEqual([]);
        } else {
          expect(stages.slice(0, index).map(({ name }) => name)).toContain(from);
        }
      }
    }
  });
});

describe("the image of the platform", () => {
  let image = "";

  beforeAll(() => {
    image = layOutImage();
  });

  afterAll(() => rmSync(image, { recursive: true, force: true }));

  test("runs as a user that is no root, by number, so that Kubernetes can tell", () => {
    expect(instruction("USER")).toBe("65532:65532");
  });

  test("has the programs that the last stage starts", () => {
    const programs = entrypoint().filter((word) => word.startsWith("/"));
    expect(programs.map((program) => basename(program))).toEqual(["tini", "node"]);
    expect(copies(PLATFORM).map(({ target }) => target)).toEqual(expect.arrayContaining(programs));
  });

  test("keeps what Node has compiled, for the user that it runs as", () => {
    // Whatever user the base has, only root may write where the image's files are.
    const names = PLATFORM.instructions.map(({ name, args }) => (name === "USER" ? `USER ${args}` : name));
    expect(names.slice(names.indexOf("RUN") - 1)).toEqual([
      "USER 0:0",
      "RUN",
      "USER 65532:65532",
      "EXPOSE",
      "ENTRYPOINT",
      "CMD",
    ]);
    const [, warm, uids, ...program] = JSON.parse(instruction("RUN")) as [string, string, string, ...string[]];
    const cache = join(image, "cache");
    const warming = spawnSync(process.execPath, [warm, uids, ...program], {
      cwd: image,
      env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: cache },
      encoding: "utf8",
    });
    expect(warming.stdout).toMatch(/^compiled ahead: \d{3,} modules\n$/);
    expect(instruction("USER")).toBe(`${uids}:${uids}`);
    expect(imageVariables().NODE_COMPILE_CACHE).toMatch(/^\/faaslane\//);
    const [made = "", ...others] = readdirSync(cache);
    expect([made.endsWith(`-${uids}`), others]).toEqual([true, []]);
    for (const file of readdirSync(join(cache, made)))
      expect(statSync(join(cache, made, file)).mode & 0o444).toBe(0o444);
  }, 60_000);

  test("has every role that the chart starts", () => {
    const { objects } = render({ queue: { kind: "none" } });
    const roles = objects.flatMap(({ kind, spec }) => {
      if (kind !== "Deployment") return [];
      const { template } = spec as { template: { spec: { containers: { args: string[] }[] } } };
      return template.spec.containers.map(({ args }) => args[0] as string);
    });
    expect(roles).toEqual(["gateway/process/main.js", "provider/main.js"]);
    const [command = ""] = JSON.parse(instruction("CMD")) as string[];
    for (const entry of [...roles, command, "dist/watchdog.mjs"]) expect(existsSync(join(image, entry))).toBe(true);
  });

  test("has every package that its code imports, as those for development are left out", () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
    };
    const files = readdirSync(image, { recursive: true, encoding: "utf8" }).filter(
      (file) => file.endsWith(".js") && !file.startsWith("node_modules"),
    );
    const missing = files.flatMap((file) => {
      const source = readFileSync(join(image, file), "utf8");
      // Types are stripped, so nothing has to be there for them.
      const imports = source.matchAll(/^(?:import|export)\s+(?!type\s)[^;]*?from\s+"([^"]+)"|import\(\s*"([^"]+)"/gm);
      return [...imports].flatMap(([, static_, dynamic]) => {
        const target = (static_ ?? dynamic) as string;
        if (target.startsWith(".")) return existsSync(join(image, dirname(file), target)) ? [] : [`${file}: ${target}`];
        if (target.startsWith("node:") || builtinModules.includes(target)) return [];
        const name = target
          .split("/")
          .slice(0, target.startsWith("@") ? 2 : 1)
          .join("/");
        return name in dependencies ? [] : [`${file}: ${target}`];
      });
    });
    expect(files.length).toBeGreaterThan(100);
    expect(missing).toEqual([]);
  });

  test("has none of the packages that only a clone needs", () => {
    const modules = parseDockerfile("deploy/Dockerfile").find(({ name }) => name === "modules");
    const commands = modules?.instructions.map(({ args }) => args).join("\n");
    for (const tool of TOOLS) expect(commands).toMatch(new RegExp(`rm -rf.* node_modules/${tool} `));
    const { dependencies } = JSON.parse(readFileSync(join(image, "package.json"), "utf8"));
    expect(Object.keys(dependencies).filter((name) => TOOLS.includes(name))).toEqual([]);
  });

  test("serves as a gateway", async () => {
    const { output, stop } = start(["gateway/process/main.js"], { queue: "none", port: "0", metrics_port: "0" });
    try {
      const { metrics } = await line(output, "gateway is listening");
      const answer = await fetch(new URL("/healthz", metrics));
      expect(answer.status).toBe(200);
    } finally {
      await stop();
    }
  });

  test("serves as a provider", async () => {
    const { output, stop } = start(["provider/main.js"], { port: "0", data_dir: join(image, "data") });
    try {
      const { url } = await line(output, "provider is listening");
      expect((await fetch(new URL("/healthz", url))).status).toBe(200);
    } finally {
      await stop();
    }
  });

  function start(args: readonly string[], env: Record<string, string>) {
    const options = entrypoint().slice(entrypoint().findIndex((word) => word.endsWith("/node")) + 1);
    const child = spawn(process.execPath, [...options, ...args], {
      cwd: image,
      env: { PATH: process.env.PATH, basic_auth: "false", ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    return {
      output: child.stdout,
      stop: async () => {
        child.kill();
        await ended;
      },
    };
  }
});

/** The log line with the message `msg`; fails when the process ends without it. */
async function line(output: NodeJS.ReadableStream, msg: string): Promise<Record<string, string>> {
  for await (const text of createInterface({ input: output })) {
    const entry = JSON.parse(text) as Record<string, string>;
    if (entry.msg === msg) return entry;
  }
  throw new Error(`the process ended without saying "${msg}"`);
}
