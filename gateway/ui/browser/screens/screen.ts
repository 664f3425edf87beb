import type { ComponentType } from "preact";

export type Params = Readonly<Record<string, string>>;

export interface Screen {
  /** Path, whose parts that begin with `:` are given to the screen; one that ends with `?` may be missing. */
  readonly pattern: string;
  /** Of the page, for its title. */
  readonly title: (params: Params) => string;
  readonly component: ComponentType<{ readonly params: Params }>;
}
