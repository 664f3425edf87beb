import { qualifiedName } from "../../contract/functions.ts";
import { MIRROR, parseMirror } from "../../contract/versions/mirror.ts";
import { mirrorShare } from "../../contract/versions/rollout-shares.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { WHOLE } from "../../contract/versions/traffic.ts";
import { parseVersionedName, versionedName } from "../../contract/versions/version-name.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { MirrorPlan } from "./mirrors.ts";
import { VersionMeters } from "./version-meters.ts";
import { VersionSplit } from "./version-split.ts";

/** A function and the versions beside it, of which either may be told of first. */
interface Family {
  owner: FunctionEntry | undefined;
  /** What the owner's replicas run. */
  main: string | undefined;
  readonly versions: Map<string, FunctionEntry>;
  /** What else its entries are found by. */
  aliases: ReadonlyMap<string, FunctionEntry>;
}

/** Which entries are versions of which function: finds them by tags, and by the version that is the function's main one. */
export class VersionLinks {
  readonly #byTarget: Map<string, FunctionEntry>;
  readonly #defaultNamespace: string;
  /** By `name.namespace` of the function. */
  readonly #families = new Map<string, Family>();

  /** @param byTarget gets what entries are found by beside their own names */
  constructor(byTarget: Map<string, FunctionEntry>, defaultNamespace: string) {
    this.#byTarget = byTarget;
    this.#defaultNamespace = defaultNamespace;
  }

  /** There is news of `entry`. */
  update(entry: FunctionEntry): void {
    const { name, version } = parseVersionedName(entry.name);
    const { version: main, traffic, rollout } = entry.snapshot;
    if (
      version === undefined &&
      main === undefined &&
      !traffic &&
      !rollout &&
      !this.#families.has(entry.qualifiedName)
    ) {
      return; // its provider knows of no versions
    }
    const family = this.#familyOf(name, entry.namespace);
    if (version !== undefined) family.versions.set(version, entry);
    else {
      const before = family.owner === entry ? family.main : undefined;
      family.owner = entry;
      family.main = main;
      if (before !== undefined && before !== main) {
        entry.versionMeters ??= new VersionMeters();
        entry.versionMeters.turn(before, entry.meter);
      }
    }
    this.#relink(family, name, entry.namespace);
  }

  /**
   * `entry` is gone.
   * @returns where calls go that were for it; undefined for nowhere
   */
  remove(entry: FunctionEntry): FunctionEntry | undefined {
    const { name, version } = parseVersionedName(entry.name);
    const family = this.#familyOf(name, entry.namespace);
    const { owner } = family;
    if (version === undefined) {
      if (owner === entry) family.owner = undefined;
    } else if (family.versions.get(version) === entry) {
      family.versions.delete(version);
      owner?.versionMeters?.retire(version, entry.meter);
    }
    this.#relink(family, name, entry.namespace);
    if (!family.owner && family.versions.size === 0) this.#families.delete(qualifiedName({ ...entry, name }));
    return version !== undefined && owner && isServedBy(owner, version) ? owner : undefined;
  }

  #familyOf(name: string, namespace: string): Family {
    const key = qualifiedName({ name, namespace });
    let family = this.#families.get(key);
    if (!family) {
      family = { owner: undefined, main: undefined, versions: new Map(), aliases: new Map() };
      this.#families.set(key, family);
    }
    return family;
  }

  #relink(family: Family, name: string, namespace: string): void {
    const { owner, versions } = family;
    for (const [alias, entry] of family.aliases) if (this.#byTarget.get(alias) === entry) this.#byTarget.delete(alias);
    family.aliases = new Map();
    for (const entry of versions.values()) entry.function = owner ?? entry;
    if (!owner) return;
    owner.versions = versions.size > 0 ? versions : undefined;
    if (versions.size > 0) owner.versionMeters ??= new VersionMeters();
    const { version: main, traffic = [], rollout } = owner.snapshot;
    const find = (version: string) => versions.get(version) ?? (version === main ? owner : undefined);
    const names = new Map<string, FunctionEntry>();
    if (main !== undefined && !versions.has(main)) names.set(main, owner);
    for (const { version, tag } of traffic) {
      const entry = find(version);
      if (tag !== undefined && entry) names.set(tag, entry);
    }
    const aliases = new Map<string, FunctionEntry>();
    for (const [label, entry] of names) {
      const alias = versionedName(name, label);
      aliases.set(qualifiedName({ name: alias, namespace }), entry);
      if (namespace === this.#defaultNamespace) aliases.set(alias, entry);
    }
    for (const [alias, entry] of aliases) this.#byTarget.set(alias, entry);
    family.aliases = aliases;
    const isSplit = traffic.length > 0 || (rollout !== undefined && isUnderWay(rollout));
    owner.share = 1;
    for (const entry of versions.values()) entry.share = 0;
    if (traffic.length > 0) {
      owner.share = 0;
      for (const { version, share } of traffic) {
        const entry = find(version);
        if (entry) entry.share += share / WHOLE;
      }
    }
    owner.mirror = readMirrorPlan(owner, find);
    owner.split = isSplit ? new VersionSplit(owner, find) : undefined;
  }
}

type Find = (version: string) => FunctionEntry | undefined;

/** A rollout that is in a step of copies goes before what the annotation says. */
function readMirrorPlan({ snapshot }: FunctionEntry, find: Find): MirrorPlan<FunctionEntry> | undefined {
  const { annotations, rollout } = snapshot;
  const share = rollout ? mirrorShare(rollout) : 0;
  if (share === 0 && annotations[MIRROR] === undefined) return undefined;
  const { mirror, methods } = parseMirror(annotations);
  const wanted = rollout && share > 0 ? { version: rollout.to, share } : mirror;
  const entry = wanted && find(wanted.version);
  return entry && wanted.share > 0 ? { entry, share: wanted.share, methods: new Set(methods) } : undefined;
}

/** Whether the replicas of the function's own name run `version`, or are about to. */
function isServedBy({ snapshot: { version: main, traffic = [] } }: FunctionEntry, version: string): boolean {
  return version === main || traffic.some((target) => target.version === version && target.share > 0);
}
