import { Tabs } from "../../components/tabs.tsx";
import { NotFound } from "../not-found.tsx";
import type { Params } from "../screen.ts";
import { DeployImage } from "./image.tsx";
import { DeployFromStore } from "./store.tsx";
import { DeployUpload } from "./upload.tsx";

const WAYS = [
  { id: "", title: "Image or process", component: DeployImage },
  { id: "store", title: "Function store", component: DeployFromStore },
  { id: "upload", title: "Upload", component: DeployUpload },
] as const;

/** Deploys a function, in one of several ways. */
export function DeployScreen({ params: { way = "" } }: { readonly params: Params }) {
  const shown = WAYS.find(({ id }) => id === way);
  if (!shown) return <NotFound />;
  const Content = shown.component;
  return (
    <>
      <h1>Deploy a function</h1>
      <Tabs
        label="Ways to deploy"
        tabs={WAYS.map(({ id, title }) => ({
          to: id === "" ? "/deploy" : `/deploy/${id}`,
          title,
          exact: id === "",
        }))}
      />
      <Content />
    </>
  );
}
