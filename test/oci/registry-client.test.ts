import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { pushImage } from "../../oci/push-image.ts";
import { digestOf, RegistryClient } from "../../oci/registry-client.ts";
import { RegistryError } from "../../oci/registry-error.ts";
import { DockerRegistry, describeWithRegistry } from "../support/docker-registry.ts";
import { blobOf } from "../support/oci-images.ts";

const { signal } = new AbortController();
const BLOB = Buffer.from("some bytes");
const MANIFEST = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.manifest }));

describeWithRegistry("with Debian's registry", () => {
  let registry: DockerRegistry;
  let client: RegistryClient;

  beforeAll(async () => {
    registry = await DockerRegistry.start();
    client = new RegistryClient({ registry: registry.address });
  });
  afterAll(() => registry.remove());

  test("a blob is pushed once, and read again", async () => {
    const blob = blobOf(BLOB);
    expect(await client.pushBlob("a/one", blob, signal)).toBe(true);
    expect(await client.pushBlob("a/one", blob, signal)).toBe(false);
    expect(await client.fetchBlob("a/one", blob.digest, 100, signal)).toEqual(BLOB);
  });

  test("a blob that another repository has is mounted, not sent", async () => {
    const blob = { ...blobOf(Buffer.from("mounted")), open: () => Promise.reject(new Error("it is sent")) };
    await client.pushBlob("a/source", blobOf(Buffer.from("mounted")), signal);
    expect(await client.pushBlob("a/mounted", blob, signal, "a/source")).toBe(false);
    expect(await client.hasBlob("a/mounted", blob.digest, signal)).toBe(true);
  });

  test("a mount from where it is not becomes an upload", async () => {
    const blob = blobOf(Buffer.from("elsewhere"));
    expect(await client.pushBlob("a/two", blob, signal, "a/nowhere")).toBe(true);
    expect(await client.hasBlob("a/two", blob.digest, signal)).toBe(true);
  });

  test("an empty blob and one of megabytes arrive whole", async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(20_000_000, "x")]) {
      const blob = blobOf(bytes);
      expect(await client.pushBlob("a/sizes", blob, signal)).toBe(true);
      const hash = createHash("sha256");
      for await (const chunk of await client.openBlob("a/sizes", blob.digest, signal)) hash.update(chunk as Buffer);
      expect(`sha256:${hash.digest("hex")}`).toBe(blob.digest);
    }
  });

  test("bytes that are not of the digest are refused", async () => {
    const lie = { ...blobOf(BLOB), digest: `sha256:${"0".repeat(64)}` };
    await expect(client.pushBlob("a/lies", lie, signal)).rejects.toThrow(/DIGEST_INVALID/);
  });

  test("what is not there is told by name", async () => {
    await expect(client.fetchManifest("a/missing", "latest", signal)).rejects.toMatchObject({
      message: expect.stringContaining("cannot read a/missing:latest"),
      status: 404,
      code: "MANIFEST_UNKNOWN",
    });
  });
});

/** A registry that does as it is told. */
class ToldRegistry {
  readonly asked: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(answer: (req: IncomingMessage, res: ServerResponse, url: URL) => unknown): Promise<ToldRegistry> {
    const server = createServer((req, res) => {
      const url = new URL(req.url as string, `http://${req.headers.host}`);
      told.asked.push(`${req.method} ${url.pathname}${url.search} ${req.headers.authorization ?? "-"}`);
      answer(req, res, url);
    });
    const told = new ToldRegistry(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return told;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe("with a registry that", () => {
  const running: ToldRegistry[] = [];
  afterEach(() => {
    for (const one of running.splice(0)) one.close();
  });
  const start = async (...[answer]: Parameters<typeof ToldRegistry.start>) => {
    const registry = await ToldRegistry.start(answer);
    running.push(registry);
    return registry;
  };
  const clientOf = ({ address }: ToldRegistry, login = { username: "me", password: "secret" }) =>
    new RegistryClient({ registry: address, login });
  const sendManifest = (res: ServerResponse) =>
    res.writeHead(200, { "content-type": `${MEDIA_TYPES.manifest}; charset=utf-8` }).end(MANIFEST);

  test("wants a token, the client gets one by the login, and uses it again", async () => {
    const registry = await start((req, res, url) => {
      if (url.pathname === "/token") return res.end(JSON.stringify({ token: "T", expires_in: 300 }));
      if (req.headers.authorization === "Bearer T") return sendManifest(res);
      const realm = `Bearer realm="http://${req.headers.host}/token",service="s"`;
      return res.writeHead(401, { "www-authenticate": realm }).end();
    });
    const client = clientOf(registry);
    for (let i = 0; i < 2; i++) {
      const { digest, mediaType } = await client.fetchManifest("a/b", "latest", signal);
      expect({ digest, mediaType }).toEqual({ digest: digestOf(MANIFEST), mediaType: MEDIA_TYPES.manifest });
    }
    const basic = `Basic ${Buffer.from("me:secret").toString("base64")}`;
    expect(registry.asked).toEqual([
      "GET /v2/a/b/manifests/latest -",
      `GET /token?service=s&scope=repository%3Aa%2Fb%3Apull ${basic}`,
      "GET /v2/a/b/manifests/latest Bearer T",
      "GET /v2/a/b/manifests/latest Bearer T",
    ]);
  });

  test("lets a token expire half-way is asked for a new one", async () => {
    let tokens = 0;
    const registry = await start((req, res, url) => {
      if (url.pathname === "/token") return res.end(JSON.stringify({ access_token: `T${++tokens}` }));
      if (req.headers.authorization === "Bearer T2") return sendManifest(res);
      const realm = `Bearer realm="http://${req.headers.host}/token"`;
      return res.writeHead(401, { "www-authenticate": realm }).end();
    });
    const client = clientOf(registry);
    await expect(client.fetchManifest("a/b", "1", signal)).rejects.toMatchObject({ status: 401 });
    await client.fetchManifest("a/b", "1", signal);
    expect(tokens).toBe(2);
  });

  test("takes no login is told of, without the login", async () => {
    const registry = await start((_req, res) =>
      res
        .writeHead(401, { "www-authenticate": "Basic realm=x" })
        .end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "no\u001b[31m way" }] })),
    );
    await expect(clientOf(registry).fetchManifest("a/b", "1", signal)).rejects.toThrow(
      /UNAUTHORIZED: no \[31m way \(status 401\); log in/,
    );
    expect(registry.asked).toHaveLength(2);
  });

  test.each([
    ["of another kind", "hello", /holds no token/],
    ["without a token", "{}", /has no token/],
    ["of megabytes", "x".repeat(1_000_000), /more than/],
  ])("answers for a token with something %s is refused", async (_what, body, why) => {
    const registry = await start((req, res, url) => {
      if (url.pathname === "/token") return res.end(body);
      return res.writeHead(401, { "www-authenticate": `Bearer realm="http://${req.headers.host}/token"` }).end();
    });
    await expect(clientOf(registry).fetchManifest("a/b", "1", signal)).rejects.toThrow(why);
  });

  test("sends blobs from elsewhere is followed there without the login", async () => {
    const store = await start((_req, res) => res.end(BLOB));
    const registry = await start((req, res) => {
      if (req.headers.authorization === undefined) return res.writeHead(401, { "www-authenticate": "Basic" }).end();
      return res.writeHead(307, { location: `http://${store.address}/blob?sig=1` }).end();
    });
    expect(await clientOf(registry).fetchBlob("a/b", digestOf(BLOB), 100, signal)).toEqual(BLOB);
    expect(store.asked).toEqual(["GET /blob?sig=1 -"]);
  });

  test.each([
    ["in a circle", "/v2/again"],
    ["to a file", "file:///etc/passwd"],
    ["to nowhere", "http://["],
  ])("redirects %s is not followed", async (_where, location) => {
    const registry = await start((_req, res) => res.writeHead(302, { location }).end());
    await expect(clientOf(registry).openBlob("a/b", digestOf(BLOB), signal)).rejects.toThrow(RegistryError);
    expect(registry.asked.length).toBeLessThan(10);
  });

  test("sends other bytes than it was asked for is caught", async () => {
    const registry = await start((_req, res) => res.writeHead(200, { "content-type": "x" }).end("lies"));
    const client = clientOf(registry);
    await expect(client.fetchManifest("a/b", digestOf(BLOB), signal)).rejects.toThrow("another digest");
    await expect(client.fetchBlob("a/b", digestOf(BLOB), 100, signal)).rejects.toThrow("another digest");
    await expect(client.fetchBlob("a/b", digestOf(BLOB), 1, signal)).rejects.toThrow("more than 1 bytes");
  });

  test("answers uploads with a relative address that has a query is sent the digest beside it", async () => {
    const registry = await start(async (req, res) => {
      const body = await text(req);
      if (req.method === "HEAD") return res.writeHead(404).end();
      if (req.method === "POST") return res.writeHead(202, { location: "/upload/7?state=a%2Bb" }).end();
      return res.writeHead(body === "some bytes" ? 201 : 400).end();
    });
    expect(await clientOf(registry).pushBlob("a/b", blobOf(BLOB), signal)).toBe(true);
    expect(registry.asked.at(-1)).toBe(`PUT /upload/7?state=a%2Bb&digest=${encodeURIComponent(digestOf(BLOB))} -`);
  });

  test("has uploads go to another host gets them there without the login", async () => {
    const store = await start(async (req, res) => res.writeHead((await text(req)) === "some bytes" ? 201 : 400).end());
    const registry = await start((req, res) => {
      if (req.headers.authorization === undefined) return res.writeHead(401, { "www-authenticate": "Basic" }).end();
      if (req.method === "HEAD") return res.writeHead(404).end();
      return res.writeHead(202, { location: `http://${store.address}/session?sig=1` }).end();
    });
    expect(await clientOf(registry).pushBlob("a/b", blobOf(BLOB), signal)).toBe(true);
    expect(store.asked).toEqual([`PUT /session?sig=1&digest=${encodeURIComponent(digestOf(BLOB))} -`]);
  });

  test("redirects an upload itself is told of, and sent nothing elsewhere", async () => {
    const store = await start((_req, res) => res.writeHead(201).end());
    const registry = await start((req, res) => {
      if (req.method === "HEAD") return res.writeHead(404).end();
      if (req.method === "POST") return res.writeHead(202, { location: "/session" }).end();
      return res.writeHead(307, { location: `http://${store.address}/elsewhere` }).end();
    });
    await expect(clientOf(registry).pushBlob("a/b", blobOf(BLOB), signal)).rejects.toMatchObject({ status: 307 });
    expect(store.asked).toEqual([]);
  });

  test("lets a token expire between two parts of an upload gets the blob whole, with another one", async () => {
    let tokens = 0;
    const bodies: string[] = [];
    const registry = await start(async (req, res, url) => {
      if (url.pathname === "/token") return res.end(JSON.stringify({ token: `T${++tokens}`, expires_in: 300 }));
      bodies.push(await text(req));
      const isGood = req.headers.authorization === (req.method === "PUT" ? "Bearer T2" : "Bearer T1");
      const realm = `Bearer realm="http://${req.headers.host}/token"`;
      if (!isGood) return res.writeHead(401, { "www-authenticate": realm }).end();
      if (req.method === "HEAD") return res.writeHead(404).end();
      return req.method === "POST" ? res.writeHead(202, { location: "/session" }).end() : res.writeHead(201).end();
    });
    let opened = 0;
    const blob = blobOf(BLOB);
    const open = () => {
      opened++;
      return blob.open();
    };
    const counted = { ...blob, open };
    expect(await clientOf(registry).pushBlob("a/b", counted, signal)).toBe(true);
    expect([opened, bodies.filter(Boolean)]).toEqual([2, ["some bytes", "some bytes"]]);
    expect(registry.asked.at(-1)).toMatch(/^PUT .* Bearer T2$/);
  });

  test("loses the place in an upload (416) gets it again from the start, in a session of its own", async () => {
    let sessions = 0;
    const registry = await start(async (req, res) => {
      await text(req);
      if (req.method === "HEAD") return res.writeHead(404).end();
      if (req.method === "POST") return res.writeHead(202, { location: `/session/${++sessions}` }).end();
      if (req.url?.startsWith("/session/1?")) return res.writeHead(416, { range: "0-3" }).end();
      return res.writeHead(201).end();
    });
    const reference = { registry: registry.address, repository: "a/base", tag: "1", digest: undefined };
    const manifest = {
      schemaVersion: 2 as const,
      config: { mediaType: "x", digest: digestOf(BLOB), size: 1 },
      layers: [],
    };
    const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers" as const, diff_ids: [] } };
    const client = clientOf(registry);
    const image = await pushImage({
      base: { reference, digest: digestOf(BLOB), manifest, config },
      baseClient: client,
      layers: [],
      run: { env: {}, entrypoint: [], command: [], workingDir: "/", user: "1", exposedPorts: [], labels: {} },
      target: { ...reference, repository: "a/image" },
      client,
      signal,
    });
    expect(sessions).toBe(2);
    expect(registry.asked.at(-1)).toBe("PUT /v2/a/image/manifests/1 -");
    expect(image.digest).toMatch(/^sha256:/);
  });

  test.each([
    ["without an address", {}, "does not say where to"],
    ["with an address that is none", { location: "http://[" }, "does not say where to"],
  ])("answers uploads %s is refused", async (_what, headers, why) => {
    const registry = await start((req, res) => res.writeHead(req.method === "HEAD" ? 404 : 202, headers).end());
    await expect(clientOf(registry).pushBlob("a/b", blobOf(BLOB), signal)).rejects.toThrow(why);
  });

  test("never answers is given up with the caller's reason", async () => {
    const registry = await start(() => undefined);
    const abort = new AbortController();
    const asking = clientOf(registry).fetchManifest("a/b", "1", abort.signal);
    await once(abortSoon(abort, new Error("enough")), "abort");
    await expect(asking).rejects.toThrow("enough");
  });
});

function abortSoon(abort: AbortController, reason: Error): AbortSignal {
  setImmediate(() => abort.abort(reason));
  return abort.signal;
}
