import type { Readable, Writable } from "node:stream";

/** Everything a command may touch of the process it runs in. */
export interface Io {
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** Root of the source tree this executable belongs to: home of the bundled templates and the default data folder. */
  readonly sourceRoot: string;
  /** Release of this executable. */
  readonly version: string;
  /** Commit that it was made from, in full; `unknown` where nobody knows. */
  readonly commit: string;
  /** Ends commands that go on until they are interrupted; absent, they end with the process. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether requests and the origin of errors are to be shown: `FAAS_DEBUG` is `1` or `true`. */
export function isDebug({ env }: Pick<Io, "env">): boolean {
  return env.FAAS_DEBUG === "1" || env.FAAS_DEBUG === "true";
}

/** Text or bytes to standard output, waiting while its reader is slow. */
export async function writeOut(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  if (stream.write(chunk)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}

/** @throws {Error} when there is more than `limitBytes` to read */
export async function readAll(stream: Readable, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk as Buffer);
    size += bytes.length;
    if (size > limitBytes) throw new Error(`standard input is larger than ${limitBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
