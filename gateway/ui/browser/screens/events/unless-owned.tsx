import type { ComponentChildren } from "preact";
import { Link } from "../../components/link.tsx";
import type { Owner } from "./owner.ts";

/** The buttons that change something, or who declares it and how to change it there. */
export function UnlessOwned({
  owner,
  children,
}: {
  readonly owner: Owner | undefined;
  readonly children: ComponentChildren;
}) {
  if (!owner) return <>{children}</>;
  return (
    <span class="owner">
      {owner.by} {owner.command !== undefined && <code>{owner.command}</code>}
      {owner.to !== undefined && <Link to={owner.to}>settings</Link>}
    </span>
  );
}
