import type { ComponentChildren } from "preact";
import { href, navigate, path } from "../router.ts";

export interface LinkProps {
  /** Screen, starting with `/`. */
  readonly to: string;
  readonly children: ComponentChildren;
  readonly class?: string;
  /** Marks it while that screen, or one below it, is shown; with `exact` that screen alone. */
  readonly isPlace?: boolean | "exact";
  readonly title?: string;
}

/** A link within the page: an address of its own, without loading anything anew. */
export function Link({ to, children, class: name, isPlace, title }: LinkProps) {
  const [place] = to.split("?", 1) as [string];
  const here =
    isPlace && (path.value === place || (isPlace !== "exact" && to !== "/" && path.value.startsWith(`${place}/`)));
  return (
    <a
      href={href(to)}
      class={name}
      title={title}
      aria-current={here ? "page" : undefined}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {children}
    </a>
  );
}
