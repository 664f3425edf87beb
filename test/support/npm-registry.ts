import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "./platform.ts";

export interface NpmRegistry extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  /** Paths that it was asked for with its token. */
  readonly asked: string[];
}

/** A private registry with one package of one file; it answers nobody without its token. */
export async function openNpmRegistry(name: string, source: string, token: string): Promise<NpmRegistry> {
  const folder = await temporaryFolder();
  const files = { "package.json": JSON.stringify({ name, version: "1.0.0", main: "index.js" }), "index.js": source };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, "package", path)), { recursive: true });
    await writeFile(join(folder.path, "package", path), text);
  }
  const archive = join(folder.path, "package.tgz");
  await promisify(execFile)("tar", ["-czf", archive, "-C", folder.path, "package"]);
  const bytes = await readFile(archive);
  const asked: string[] = [];
  const server = createServer((req, res) => {
    const path = decodeURIComponent(req.url ?? "");
    if (req.headers.authorization !== `Bearer ${token}`) return res.writeHead(401).end("{}");
    asked.push(path);
    if (path === "/package.tgz") return res.end(bytes);
    if (path !== `/${name}`) return res.writeHead(404).end("{}");
    const dist = {
      tarball: `http://${req.headers.host}/package.tgz`,
      integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`,
    };
    const versions = { "1.0.0": { ...(JSON.parse(files["package.json"]) as object), dist } };
    return res.end(JSON.stringify({ name, "dist-tags": { latest: "1.0.0" }, versions }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await folder.remove();
    },
  };
}
