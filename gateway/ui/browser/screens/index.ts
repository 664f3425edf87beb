import { FunctionScreen } from "./function/index.tsx";
import { NotFound } from "./not-found.tsx";
import { Overview } from "./overview.tsx";
import { PlatformScreen } from "./platform.tsx";
import { QueueScreen } from "./queue.tsx";
import type { Screen } from "./screen.ts";

/** All screens, by their addresses. */
export const SCREENS: readonly Screen[] = [
  { pattern: "/", title: () => "Overview", component: Overview },
  {
    pattern: "/functions/:namespace/:name/:tab?",
    title: ({ name, tab }) => (tab ? `${name}: ${tab}` : (name as string)),
    component: FunctionScreen,
  },
  { pattern: "/queue", title: () => "Queue", component: QueueScreen },
  { pattern: "/platform", title: () => "Platform", component: PlatformScreen },
];

export const NOT_FOUND: Screen = { pattern: "", title: () => "Not found", component: NotFound };

/** Places in the navigation. */
export const PLACES: readonly { readonly to: string; readonly title: string }[] = [
  { to: "/", title: "Overview" },
  { to: "/queue", title: "Queue" },
  { to: "/platform", title: "Platform" },
];
