import { Link } from "./link.tsx";

export interface Tab {
  readonly to: string;
  readonly title: string;
  /** Those below it are other tabs. */
  readonly exact?: boolean;
}

/** Screens that belong together; each has an address of its own. */
export function Tabs({ label, tabs }: { readonly label: string; readonly tabs: readonly Tab[] }) {
  return (
    <nav class="tabs" aria-label={label}>
      <ul>
        {tabs.map(({ to, title, exact }) => (
          <li key={to}>
            <Link to={to} isPlace={exact ? "exact" : true}>
              {title}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
