import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { Mount } from "./runtime.ts";

/** The files of one pod below a folder of its own. */
export class PodFiles {
  readonly root: string;
  readonly #mounts: string[] = [];

  constructor(root: string) {
    this.root = root;
  }

  get tmp(): string {
    return this.inside("/tmp");
  }

  /** The place on this machine of a path in the container. */
  inside(path: string): string {
    return join(this.root, path);
  }

  /** Text with paths into mounts, or below /tmp, led to where they are on this machine. */
  translate(text: string): string {
    const mount = ["/tmp", ...this.#mounts].find((path) => text === path || text.startsWith(`${path}/`));
    return mount === undefined ? text : this.inside(text);
  }

  /** Gives a file that the kubelet reads its place; it begins empty. */
  async addFile(path: string): Promise<void> {
    if (!this.#mounts.includes(path)) this.#mounts.push(path);
    await mkdir(dirname(this.inside(path)), { recursive: true });
    await writeFile(this.inside(path), "");
  }

  async write(mounts: readonly Mount[]): Promise<void> {
    await mkdir(this.tmp, { recursive: true });
    for (const { mountPath, files } of mounts) {
      if (!this.#mounts.includes(mountPath)) this.#mounts.push(mountPath);
      const folder = this.inside(mountPath);
      await mkdir(folder, { recursive: true });
      if (files === undefined) continue;
      for (const [path, content] of files) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), content);
      }
      const present = await readdir(folder, { recursive: true, withFileTypes: true });
      for (const entry of present.filter((each) => each.isFile())) {
        const path = join(entry.parentPath, entry.name);
        if (!files.has(relative(folder, path))) await rm(path);
      }
    }
  }

  async remove(): Promise<void> {
    // A process that is just dying may still write.
    await rm(this.root, { recursive: true, force: true, maxRetries: 10 });
  }
}
