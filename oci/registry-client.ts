import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { readAtMost } from "./answer-body.ts";
import type { RegistryLogin } from "./docker-config.ts";
import { dump, type HttpAnswer, HttpSender } from "./http-request.ts";
import { DEFAULT_REGISTRY, isDigest } from "./image-reference.ts";
import { MANIFEST_TYPES } from "./media-types.ts";
import { RegistryError, registryErrorOf } from "./registry-error.ts";
import { RegistryAuthorizer } from "./registry-login.ts";

export interface RegistryOptions {
  /** `host` or `host:port`. */
  readonly registry: string;
  readonly login?: RegistryLogin | undefined;
  /** Speak HTTP without TLS. Default: for this machine's own names and addresses only. */
  readonly insecure?: boolean;
  /** Where it is reached, when that is not by its name. */
  readonly url?: URL;
}

/** As registries have to take them. */
export const MAX_MANIFEST_BYTES = 4 * 1024 ** 2;
const MAX_ERROR_BYTES = 64 * 1024;
const TIMEOUT_MS = 60_000;
const MAX_REDIRECTS = 5;
const HUB_HOST = "registry-1.docker.io";

export interface FetchedManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

/** A blob that is there already, to be read once or more. */
export interface BlobSource {
  readonly digest: string;
  readonly size: number;
  /** Its bytes from the start. May be called again when an upload fails. */
  open(): Readable | Promise<Readable>;
}

/** What of a repository is asked for. */
type Access = "pull" | "pull,push" | "pull,push,delete";

interface Ask {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** Below `/v2/`, or a whole URL. */
  readonly url: URL;
  readonly scopes: readonly string[];
  readonly headers?: Record<string, string>;
  /** Made anew for each try. */
  readonly body?: () => Readable | Promise<Readable> | Uint8Array;
  readonly signal: AbortSignal;
}

/**
 * A client of the distribution specification, for one registry. Methods reject with {@link RegistryError} when the registry
 * refuses, and with the reason of `signal` when that aborts.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export class RegistryClient {
  readonly host: string;
  readonly #base: URL;
  readonly #authorizer: RegistryAuthorizer;
  readonly #sender = new HttpSender();

  constructor({ registry, login, insecure = isLoopbackRegistry(registry), url }: RegistryOptions) {
    this.host = registry;
    const host = registry === DEFAULT_REGISTRY ? HUB_HOST : registry;
    this.#base = new URL("v2/", url ?? `${insecure ? "http" : "https"}://${host}/`);
    this.#authorizer = new RegistryAuthorizer(login, this.#base.protocol === "http:", this.#sender);
  }

  /**
   * An image's manifest or index, whose digest has been checked.
   * @param reference a tag or a digest
   */
  async fetchManifest(repository: string, reference: string, signal: AbortSignal): Promise<FetchedManifest> {
    const what = `${this.host}: cannot read ${repository}:${reference}`;
    const { statusCode, headers, body } = await this.#send({
      method: "GET",
      url: this.#url(`${repository}/manifests/${reference}`),
      scopes: [scopeOf(repository, "pull")],
      headers: { accept: MANIFEST_TYPES.join(", ") },
      signal,
    });
    if (statusCode !== 200) throw await refusal(what, statusCode, body);
    const bytes = await readAtMost(body, MAX_MANIFEST_BYTES, what);
    const digest = digestOf(bytes);
    if (isDigest(reference) && digest !== reference)
      throw new RegistryError(`${what}: it has another digest`, statusCode);
    return {
      bytes,
      mediaType:
        String(headers["content-type"] ?? "")
          .split(";")[0]
          ?.trim() ?? "",
      digest,
    };
  }

  /**
   * The digest of an image's manifest or index, as the registry says.
   * @param tag or a digest
   */
  async resolveDigest(repository: string, tag: string, signal: AbortSignal): Promise<string> {
    const what = `${this.host}: cannot find ${repository}:${tag}`;
    const { statusCode, headers, body } = await this.#send({
      method: "HEAD",
      url: this.#url(`${repository}/manifests/${tag}`),
      scopes: [scopeOf(repository, "pull")],
      headers: { accept: MANIFEST_TYPES.join(", ") },
      signal,
    });
    if (statusCode !== 200) throw await refusal(what, statusCode, body);
    await dump(body);
    const { "docker-content-digest": digest } = headers;
    // Registries need not say.
    if (digest === undefined) return (await this.fetchManifest(repository, tag, signal)).digest;
    if (typeof digest === "string" && isDigest(digest)) return digest;
    throw new RegistryError(`${what}: what it says is no digest`, statusCode);
  }

  /** A small blob, whose digest has been checked. */
  async fetchBlob(repository: string, digest: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const what = `${this.host}: blob ${digest} of ${repository}`;
    const bytes = await readAtMost(await this.openBlob(repository, digest, signal), maxBytes, what);
    if (digestOf(bytes) !== digest) throw new RegistryError(`${what}: it has another digest`, 200);
    return bytes;
  }

  /** A blob's bytes, which nobody has checked. */
  async openBlob(repository: string, digest: string, signal: AbortSignal): Promise<Readable> {
    const url = this.#url(`${repository}/blobs/${digest}`);
    const { statusCode, body } = await this.#send({
      method: "GET",
      url,
      scopes: [scopeOf(repository, "pull")],
      signal,
    });
    if (statusCode !== 200) throw await refusal(`${this.host}: cannot read a blob of ${repository}`, statusCode, body);
    return body;
  }

  async hasBlob(repository: string, digest: string, signal: AbortSignal): Promise<boolean> {
    const { statusCode, body } = await this.#send({
      method: "HEAD",
      url: this.#url(`${repository}/blobs/${digest}`),
      scopes: [scopeOf(repository, "pull,push")],
      signal,
    });
    await dump(body);
    return statusCode === 200;
  }

  /**
   * Puts a blob into a repository, unless it is there.
   * @param from another repository of this registry that has it
   * @returns whether anything was sent
   */
  async pushBlob(repository: string, blob: BlobSource, signal: AbortSignal, from?: string): Promise<boolean> {
    if (await this.hasBlob(repository, blob.digest, signal)) return false;
    const location = await this.#beginUpload(repository, blob.digest, signal, from);
    if (!location) return false;
    location.searchParams.set("digest", blob.digest);
    const { statusCode, body } = await this.#send({
      method: "PUT",
      url: location,
      scopes: [scopeOf(repository, "pull,push")],
      headers: { "content-type": "application/octet-stream", "content-length": String(blob.size) },
      body: () => blob.open(),
      signal,
    });
    if (statusCode !== 201) throw await refusal(`${this.host}: cannot push a layer of ${repository}`, statusCode, body);
    await dump(body);
    return true;
  }

  /** @param reference a tag or the digest */
  async pushManifest(
    repository: string,
    reference: string,
    manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { statusCode, body } = await this.#send({
      method: "PUT",
      url: this.#url(`${repository}/manifests/${reference}`),
      scopes: [scopeOf(repository, "pull,push")],
      headers: { "content-type": manifest.mediaType },
      body: () => manifest.bytes,
      signal,
    });
    if (statusCode !== 201) throw await refusal(`${this.host}: cannot push ${repository}`, statusCode, body);
    await dump(body);
  }

  /** @returns whether it is gone; registries need not remove anything */
  async removeManifest(repository: string, digest: string, signal: AbortSignal): Promise<boolean> {
    const { statusCode, body } = await this.#send({
      method: "DELETE",
      url: this.#url(`${repository}/manifests/${digest}`),
      scopes: [scopeOf(repository, "pull,push,delete")],
      signal,
    });
    await dump(body);
    return statusCode === 202 || statusCode === 404;
  }

  /** @returns where to send the blob; undefined when it was taken from `from` */
  async #beginUpload(
    repository: string,
    digest: string,
    signal: AbortSignal,
    from: string | undefined,
  ): Promise<URL | undefined> {
    const url = this.#url(`${repository}/blobs/uploads/`);
    if (from !== undefined) {
      url.searchParams.set("mount", digest);
      url.searchParams.set("from", from);
    }
    const scopes = [scopeOf(repository, "pull,push"), ...(from === undefined ? [] : [scopeOf(from, "pull")])];
    const { statusCode, headers, body } = await this.#send({ method: "POST", url, scopes, signal });
    if (statusCode === 201 && from !== undefined) {
      await dump(body);
      return undefined;
    }
    const what = `${this.host}: cannot push to ${repository}`;
    // A mount that the registry does not make is an upload that it has begun.
    if (statusCode !== 202) throw await refusal(what, statusCode, body);
    await dump(body);
    const { location } = headers;
    if (typeof location !== "string" || !URL.canParse(location, url.href)) {
      throw new RegistryError(`${what}: the registry does not say where to`, statusCode);
    }
    const to = new URL(location, url);
    if (url.protocol === "https:" && to.protocol !== "https:") {
      throw new RegistryError(`${what}: the registry wants it sent to ${to.protocol}//, without TLS`, statusCode);
    }
    return to;
  }

  /** Logs in when it is asked to, and follows redirects of reading requests: to other hosts without the login. */
  async #send(ask: Ask): Promise<HttpAnswer> {
    for (let tries = 0; ; tries++) {
      const response = await this.#sendOnce(ask);
      if (response.statusCode !== 401 || tries === 1) return response;
      const { "www-authenticate": challenge } = response.headers;
      const header = Array.isArray(challenge) ? challenge[0] : challenge;
      if (!this.#authorizer.challenged(header, ask.scopes)) return response;
      await dump(response.body);
    }
  }

  async #sendOnce({ method, url, scopes, headers, body, signal }: Ask): Promise<HttpAnswer> {
    const authorization = await this.#authorizer.header(scopes, signal);
    let at = url;
    for (let redirects = 0; ; redirects++) {
      const own = at.origin === this.#base.origin && authorization !== undefined;
      const response = await this.#sender.send(at, {
        method,
        headers: { "user-agent": "faaslane", ...headers, ...(own && { authorization }) },
        body: body ? await body() : null,
        idleMs: TIMEOUT_MS,
        signal,
      });
      const { location } = response.headers;
      const leads = [301, 302, 303, 307, 308].includes(response.statusCode) && typeof location === "string";
      if (!leads || (method !== "GET" && method !== "HEAD")) return response;
      await dump(response.body);
      if (redirects === MAX_REDIRECTS || !URL.canParse(location, at.href)) {
        throw new RegistryError(`${this.host}: its redirects lead nowhere`, response.statusCode);
      }
      const next = new URL(location, at);
      const worse = at.protocol === "https:" && next.protocol !== "https:";
      if (worse || !/^https?:$/.test(next.protocol)) {
        throw new RegistryError(
          `${this.host}: redirects to ${next.protocol}//, which is not followed`,
          response.statusCode,
        );
      }
      at = next;
    }
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function scopeOf(repository: string, access: Access): string {
  return `repository:${repository}:${access}`;
}

async function refusal(what: string, status: number, body: HttpAnswer["body"]): Promise<RegistryError> {
  const text = await readAtMost(body, MAX_ERROR_BYTES, what).catch(() => Buffer.alloc(0));
  return registryErrorOf(what, status, text.toString());
}

export function isLoopbackRegistry(registry: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(registry);
}
