import type { ComponentType } from "preact";
import { NotFound } from "./not-found.tsx";
import { Overview } from "./overview.tsx";

export type Params = Readonly<Record<string, string>>;

export interface Screen {
  /** Path, whose parts that begin with `:` are given to the screen; one that ends with `?` may be missing. */
  readonly pattern: string;
  /** Of the page, for its title. */
  readonly title: (params: Params) => string;
  readonly component: ComponentType<{ readonly params: Params }>;
}

/** All screens, by their addresses. */
export const SCREENS: readonly Screen[] = [{ pattern: "/", title: () => "Overview", component: Overview }];

export const NOT_FOUND: Screen = { pattern: "", title: () => "Not found", component: NotFound };

/** Places in the navigation. */
export const PLACES: readonly { readonly to: string; readonly title: string }[] = [{ to: "/", title: "Overview" }];
