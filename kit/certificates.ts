import { createPrivateKey, constants as crypto, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Logger } from "./log.ts";
import { StartError } from "./process.ts";

/** Files in PEM form. */
export interface CertificatePair {
  /** The certificate, then those that lead to its issuer. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate for one host and nothing else. */
export interface HostCertificate {
  /** In lower case; `*.example.com` is for all just below. */
  readonly host: string;
  /** A file with certificate and key, or a folder with `tls.crt` and `tls.key`. */
  readonly path: string;
}

export interface CertificatesOptions {
  readonly log: Pick<Logger, "info" | "warn">;
  /** Time between two looks at the files. Default 1 s. */
  readonly lookEveryMs?: number;
}

/** Far more than any chain has. */
const MAX_FILE_BYTES = 1024 ** 2;

interface Loaded {
  readonly context: SecureContext;
  /** Host names that it is for, in lower case; `*.example.com` is for all just below. */
  readonly names: readonly string[];
  /** What told the files from others when it was read. */
  readonly stamp: string;
}

interface Entry {
  readonly pair: CertificatePair;
  loaded: Loaded;
  /** Stamp of the last look: what still changes is left alone. */
  seen: string;
  /** Stamp of files that are not fit, so that it is said once. */
  refused: string | undefined;
}

/** Of a {@link HostCertificate}, whose files may be missing for now. */
interface HostEntry {
  readonly path: string;
  loaded?: Loaded;
  /** Stamp of files that are not fit, so that it is said once. */
  refused?: string;
}

/** Certificates by the host name that a client asks for, read anew when their files change. */
export class Certificates {
  readonly #entries: readonly Entry[];
  readonly #hosts = new Map<string, HostEntry>();
  readonly #log: CertificatesOptions["log"];
  readonly #timer: NodeJS.Timeout;
  #byName: ReadonlyMap<string, SecureContext>;
  #looking: Promise<void> | undefined;

  /** @throws {StartError} in one line when one of the pairs cannot be served with */
  static async open(pairs: readonly CertificatePair[], options: CertificatesOptions): Promise<Certificates> {
    const entries: Entry[] = [];
    for (const pair of pairs) {
      const loaded = await load(pair, options.log);
      entries.push({ pair, loaded, seen: loaded.stamp, refused: undefined });
    }
    return new Certificates(entries, options);
  }

  private constructor(entries: readonly Entry[], { log, lookEveryMs = 1_000 }: CertificatesOptions) {
    this.#entries = entries;
    this.#log = log;
    this.#byName = namesOf(entries);
    this.#timer = setInterval(() => void this.refresh(), lookEveryMs).unref();
  }

  /** What a client that names no host gets: the first. */
  get default(): SecureContext {
    return (this.#entries[0] as Entry).loaded.context;
  }

  /** @param name as the client sent it; one that no certificate is for gets the first */
  contextFor(name: string): SecureContext {
    const host = name.toLowerCase().replace(/\.$/, "");
    return this.#byName.get(host) ?? this.#byName.get(host.replace(/^[^.]*/, "*")) ?? this.default;
  }

  /** Has these hosts served with certificates of their own, unless one of the pairs is for just that host. */
  setHosts(certificates: readonly HostCertificate[]): void {
    const wanted = new Map(certificates.map(({ host, path }) => [host, path]));
    for (const [host, { path }] of this.#hosts) if (wanted.get(host) !== path) this.#hosts.delete(host);
    for (const [host, path] of wanted) if (!this.#hosts.has(host)) this.#hosts.set(host, { path });
    this.#byName = this.#names();
    void this.refresh();
  }

  /** Looks at the files now. What is seen for the first time holds at the next look, if it is the same then. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    let changed = false;
    for (const entry of this.#entries) if (await this.#lookAt(entry)) changed = true;
    for (const [host, entry] of [...this.#hosts]) if (await this.#lookAtHost(host, entry)) changed = true;
    if (changed) this.#byName = this.#names();
  }

  #names(): ReadonlyMap<string, SecureContext> {
    const byName = namesOf(this.#entries);
    for (const [host, { loaded }] of this.#hosts) if (loaded && !byName.has(host)) byName.set(host, loaded.context);
    return byName;
  }

  async #lookAtHost(host: string, entry: HostEntry): Promise<boolean> {
    const pair = await pairAt(entry.path);
    const stamp = await stampOf(pair);
    if (stamp === entry.loaded?.stamp || stamp === entry.refused) return false;
    try {
      entry.loaded = await load(pair, this.#log);
      delete entry.refused;
      this.#log.info({ host, certFile: pair.certFile }, "the host has a certificate of its own");
      return true;
    } catch (error) {
      entry.refused = stamp;
      const why = (error as Error).message.replace(/^tls_\w+_file: /, "");
      this.#log.warn({ host, why }, "cannot use the certificate of a host; it is served with what there is without");
      return false;
    }
  }

  async #lookAt(entry: Entry): Promise<boolean> {
    const stamp = await stampOf(entry.pair);
    const settled = stamp === entry.seen;
    entry.seen = stamp;
    if (!settled || stamp === entry.loaded.stamp || stamp === entry.refused) return false;
    try {
      const loaded = await load(entry.pair, this.#log);
      // They have changed while they were read: the next look will tell.
      if (loaded.stamp !== stamp) return false;
      entry.loaded = loaded;
      entry.refused = undefined;
      this.#log.info({ certFile: entry.pair.certFile, hosts: loaded.names }, "the certificate has changed");
      return true;
    } catch (error) {
      entry.refused = stamp;
      this.#log.warn({ why: (error as Error).message }, "cannot use the new certificate; the one before stays");
      return false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Secrets of Kubernetes are mounted as folders. */
async function pairAt(path: string): Promise<CertificatePair> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return { certFile: path, keyFile: path };
  return { certFile: join(path, "tls.crt"), keyFile: join(path, "tls.key") };
}

function namesOf(entries: readonly Entry[]): Map<string, SecureContext> {
  const byName = new Map<string, SecureContext>();
  for (const { loaded } of entries) {
    for (const name of loaded.names) if (!byName.has(name)) byName.set(name, loaded.context);
  }
  return byName;
}

/** Follows links, so that it also changes with the folder that a mounted secret's files are links into. */
async function stampOf({ certFile, keyFile }: CertificatePair): Promise<string> {
  const stamp = async (file: string) => {
    const found = await stat(file, { bigint: true }).catch(() => undefined);
    return found && [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(":");
  };
  return `${await stamp(certFile)} ${await stamp(keyFile)}`;
}

/** @throws {StartError} naming the variable, the file and what is wrong with it; nothing of what is in it */
async function load(pair: CertificatePair, log: CertificatesOptions["log"]): Promise<Loaded> {
  const stamp = await stampOf(pair);
  const cert = await readPem("tls_cert_file", pair.certFile, "CERTIFICATE");
  const key = await readPem("tls_key_file", pair.keyFile, "PRIVATE KEY");
  if (key.includes("ENCRYPTED")) {
    throw new StartError(`tls_key_file: ${pair.keyFile} needs a passphrase; give one that needs none`);
  }
  const certificate = attempt(`tls_cert_file: ${pair.certFile}`, () => new X509Certificate(cert));
  const privateKey = attempt(`tls_key_file: ${pair.keyFile}`, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new StartError(`tls_key_file: ${pair.keyFile} is not the key of ${pair.certFile}`);
  }
  const context = attempt(`tls_cert_file: ${pair.certFile}`, () =>
    createSecureContext({
      cert,
      key,
      minVersion: "TLSv1.2",
      // A client could have the server do the dear part of a handshake again and again on one connection.
      secureOptions: crypto.SSL_OP_NO_RENEGOTIATION,
    }),
  );
  const { validFromDate, validToDate } = certificate;
  const now = Date.now();
  if (validToDate.getTime() < now || validFromDate.getTime() > now) {
    log.warn(
      { certFile: pair.certFile, validFrom: validFromDate, validTo: validToDate },
      "the certificate is not valid now; clients will refuse it",
    );
  }
  return { context, names: hostsOfCertificate(certificate), stamp };
}

async function readPem(variable: string, file: string, what: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) throw new StartError(`${variable}: ${file} is over 1 MiB`);
    bytes = await readFile(file);
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    throw new StartError(`${variable}: cannot read ${file}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  if (bytes.includes(`${what}-----`)) return bytes;
  throw new StartError(`${variable}: there is no ${what.toLowerCase()} in PEM form in ${file}`);
}

function attempt<T>(where: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    // OpenSSL's own words, which hold nothing of what is in a file.
    const { reason, message } = cause as Error & { reason?: string };
    throw new StartError(`${where}: ${reason ?? message}`, { cause });
  }
}

/** Names of hosts that a certificate is for. Its subject counts where it names no others, as in old ones. */
function hostsOfCertificate({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? "").matchAll(/DNS:([^,\s"]+)/g)].map(([, name]) =>
    (name as string).toLowerCase(),
  );
  if (subjectAltName !== undefined) return names;
  return [...subject.matchAll(/^CN=(\S+)$/gm)].map(([, name]) => (name as string).toLowerCase());
}
