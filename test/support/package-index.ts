import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "./platform.ts";

export interface PackageIndex extends AsyncDisposable {
  /** For `PIP_INDEX_URL`, with user and password. */
  readonly url: string;
  /** Paths that it was asked for with its password. */
  readonly asked: string[];
}

const WHEEL = `import sys, zipfile
name, source, path = sys.argv[1:]
with zipfile.ZipFile(path, "w") as wheel:
    info = name + "-1.0.dist-info/"
    wheel.writestr(name + ".py", source)
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: " + name + "\\nVersion: 1.0\\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(info + "RECORD", "")
`;

/** A private index of Python packages, each one module; it answers nobody without its password. */
export async function openPackageIndex(modules: Readonly<Record<string, string>>): Promise<PackageIndex> {
  const folder = await temporaryFolder();
  const wheels = new Map<string, Buffer>();
  for (const [name, source] of Object.entries(modules)) {
    const file = `${name}-1.0-py3-none-any.whl`;
    await promisify(execFile)("python3", ["-c", WHEEL, name, source, join(folder.path, file)]);
    wheels.set(file, await readFile(join(folder.path, file)));
  }
  const asked: string[] = [];
  const server = createServer((req, res) => {
    const { url = "", headers } = req;
    if (headers.authorization !== `Basic ${btoa("me:key")}`) {
      res.writeHead(401, { "www-authenticate": "Basic" }).end();
      return;
    }
    asked.push(url);
    const page = /^\/simple\/([\w-]+)\/$/.exec(url)?.[1];
    const wheel = wheels.get(url.slice(1));
    if (wheel !== undefined) res.end(wheel);
    else if (page !== undefined && page in modules) {
      const file = `${page}-1.0-py3-none-any.whl`;
      res.writeHead(200, { "content-type": "text/html" }).end(`<a href="/${file}">${file}</a>`);
    } else res.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://me:key@127.0.0.1:${(server.address() as AddressInfo).port}/simple`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await folder.remove();
    },
  };
}
