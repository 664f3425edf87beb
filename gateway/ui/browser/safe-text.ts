import { type ComponentChildren, Fragment, options, type VNode } from "preact";
import { showHidden } from "./hidden-characters.ts";

const ATTRIBUTES = ["title", "aria-label", "placeholder"];

/**
 * From now on all text of the page shows its hidden characters, whoever it is from, so that none can turn around what is read beside it.
 * Values of fields stay as they are: they may be sent.
 */
export function showHiddenEverywhere(): void {
  const before = options.vnode;
  options.vnode = (vnode) => {
    if (typeof vnode.type === "string" || vnode.type === Fragment) clean(vnode as VNode<Record<string, unknown>>);
    before?.(vnode);
  };
}

function clean({ type, props }: VNode<Record<string, unknown>>): void {
  if (type === "textarea") return;
  if (props.children !== undefined) props.children = cleaned(props.children) as ComponentChildren;
  for (const name of ATTRIBUTES) {
    if (typeof props[name] === "string") props[name] = showHidden(props[name]);
  }
}

function cleaned(children: unknown): unknown {
  if (typeof children === "string") return showHidden(children);
  return Array.isArray(children) ? children.map(cleaned) : children;
}
