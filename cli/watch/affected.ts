import { resolve } from "node:path";
import type { Stack, StackFunction } from "../stack/types.ts";
import { isBelow } from "./snapshot.ts";

export interface WatchedProject {
  /** Where the stack file's paths begin. */
  readonly baseDir: string;
  /** Paths that go into every handler folder. */
  readonly copyExtra: readonly string[];
}

/** The files and folders that a function is made of, absolute. */
export function partsOf(fn: StackFunction, { baseDir, copyExtra }: WatchedProject): string[] {
  const template = fn.lang === undefined ? [] : [`template/${fn.lang}`];
  const named = [...(fn.handler === undefined ? [] : [fn.handler]), ...fn.environmentFiles, ...template, ...copyExtra];
  return named.map((path) => resolve(baseDir, path));
}

/** The functions that one of the changed files is part of. */
export function affectedFunctions(
  functions: readonly StackFunction[],
  changed: readonly string[],
  project: WatchedProject,
): StackFunction[] {
  return functions.filter((fn) => {
    const parts = partsOf(fn, project);
    return changed.some((path) => parts.some((part) => isBelow(path, part)));
  });
}

/** What a new reading of the stack file has changed. */
export function compareStacks(
  before: Pick<Stack, "copy"> & { readonly functions: readonly StackFunction[] },
  after: Pick<Stack, "copy"> & { readonly functions: readonly StackFunction[] },
): { readonly changed: StackFunction[]; readonly gone: string[] } {
  const known = new Map(before.functions.map((fn) => [fn.name, JSON.stringify(fn)]));
  const sameCopy = JSON.stringify(before.copy) === JSON.stringify(after.copy);
  return {
    changed: after.functions.filter((fn) => !sameCopy || known.get(fn.name) !== JSON.stringify(fn)),
    gone: before.functions.map(({ name }) => name).filter((name) => !after.functions.some((fn) => fn.name === name)),
  };
}
