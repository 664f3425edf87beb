import { useState } from "preact/hooks";
import type { UiOffer, UiOfferSources, UiStore } from "../../../../../contract/ui/deploy.ts";
import { command, option } from "../../act.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field, Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Empty, Failure, Loading, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type Column, Table } from "../../components/table.tsx";
import { deployCommands } from "../../definition/commands.ts";
import { definitionFrom, formOf } from "../../definition/form.ts";
import { query, setQuery } from "../../router.ts";
import { session } from "../../state/session.ts";
import { fileOf } from "../../upload/context.ts";
import { buildImage } from "./build.ts";
import { BuildLog, useBuildLog } from "./build-log.tsx";
import { useChoices } from "./choices.ts";
import { DefinitionFields } from "./definition-fields.tsx";
import { Progress } from "./progress.tsx";
import { Refusal } from "./refusal.tsx";
import { SubmitButton } from "./submit-button.tsx";
import { useDeploy } from "./use-deploy.ts";
import { NO_BUILDER, usePlatform } from "./use-platform.ts";

const COLUMNS: readonly Column<UiOffer>[] = [
  {
    id: "name",
    title: "Function",
    sort: ({ name }) => name,
    cell: ({ name }) => <Link to={`/deploy/store?function=${encodeURIComponent(name)}`}>{name}</Link>,
  },
  { id: "title", title: "Title", cell: ({ title = "" }) => <bdi>{title}</bdi> },
  { id: "about", title: "What it does", cell: ({ description = "" }) => <bdi>{description}</bdi> },
  { id: "author", title: "Author", sort: ({ author = "" }) => author, cell: ({ author = "" }) => <bdi>{author}</bdi> },
];

/** Deploys what others have made. */
export function DeployFromStore() {
  const { value, error } = useAsked("store", (signal) => askJson<UiStore>("/ui/api/store", { signal }));
  if (!value) return error === undefined ? <Loading /> : <Failure error={error} />;
  const wanted = query.value.get("function");
  const offer = value.functions.find(({ name }) => name === wanted);
  return (
    <>
      {value.problem !== undefined && (
        <Notice>
          The store at <bdi>{value.url}</bdi> cannot be read: {value.problem}. What comes with the gateway is here all
          the same.
        </Notice>
      )}
      {wanted !== null && !offer && <Notice>The store has no function {wanted}.</Notice>}
      {offer ? <OfferForm offer={offer} key={offer.name} /> : <OfferList offers={value.functions} />}
    </>
  );
}

function OfferList({ offers }: { readonly offers: readonly UiOffer[] }) {
  const text = query.value.get("q") ?? "";
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = offers.filter(({ name, title = "", description = "", author = "" }) => {
    const all = `${name} ${title} ${description} ${author}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
  return (
    <>
      <div class="filters">
        <Field label="Search" type="search" value={text} onInput={(next) => setQuery("q", next)} />
      </div>
      {found.length === 0 ? (
        <Empty command="faaslane store list">No function of the store fits.</Empty>
      ) : (
        <Table caption="Functions of the store" columns={COLUMNS} rows={found} keyOf={({ name }) => name} />
      )}
      <Equivalent cli="faaslane store list" curl="curl -u admin:$PASSWORD $GATEWAY/ui/api/store" />
    </>
  );
}

/** As it would be deployed. */
function definitionOfOffer({ name, images, fprocess, environment, ...rest }: UiOffer, architecture: string) {
  return {
    service: name,
    image: images[architecture] ?? Object.values(images)[0] ?? "",
    namespace: session.value?.defaultNamespace ?? "openfaas-fn",
    ...(fprocess && { envProcess: fprocess }),
    ...(environment && { envVars: environment }),
    ...(rest.labels && { labels: rest.labels }),
    ...(rest.annotations && { annotations: rest.annotations }),
    ...(rest.readOnlyRootFilesystem && { readOnlyRootFilesystem: true }),
  };
}

const NOTHING = { service: "", image: "" };

function OfferForm({ offer }: { readonly offer: UiOffer }) {
  const { architecture, builds } = usePlatform();
  const [filled, setForm] = useState<ReturnType<typeof formOf>>();
  const [busy, setBusy] = useState(false);
  const form = filled ?? formOf(definitionOfOffer(offer, architecture));
  const choices = useChoices(form.namespace);
  const deploying = useDeploy();
  const log = useBuildLog();
  const { template } = offer;
  const submit = async () => {
    if (!deploying.check(form)) return;
    setBusy(true);
    log.clear();
    try {
      const image = template === undefined ? form.image : await build();
      await deploying.send(definitionFrom({ ...form, image }, NOTHING), "POST");
    } catch (error) {
      deploying.fail(error);
    }
    setBusy(false);
  };
  const build = async () => {
    const sources = await askJson<UiOfferSources>(`/ui/api/store/${encodeURIComponent(offer.name)}`);
    const handler = sources.files.map(fileOf);
    const { signal } = new AbortController();
    return await buildImage({ image: form.image.trim(), template: sources.template, handler, onLine: log.add, signal });
  };
  const hasImage = offer.images[architecture] !== undefined;
  const cli = command(
    ...["faaslane", "store", "deploy", offer.name],
    ...option("--name", form.service === offer.name ? undefined : form.service),
    ...option("-n", form.namespace),
  );
  return (
    <>
      <p>
        <Link to="/deploy/store">All functions of the store</Link>
      </p>
      {deploying.done && <Progress deployed={deploying.done} key={deploying.done.name} />}
      <Panel title={offer.title || offer.name}>
        <dl class="store-offer">
          <dt>What it does</dt>
          <dd>
            <bdi>{offer.description || "–"}</bdi>
          </dd>
          <dt>Author</dt>
          <dd>
            <bdi>{offer.author || "–"}</bdi>
          </dd>
          <dt>Sources</dt>
          <dd>
            <bdi>{offer.repo_url || "–"}</bdi>
          </dd>
          <dt>Images</dt>
          <dd>{Object.keys(offer.images).join(", ") || "none"}</dd>
        </dl>
        {template !== undefined && <p>It comes with its sources, which are built by the template {template} first.</p>}
        {!hasImage && (
          <p>
            It has no image for this platform ({architecture}); the one below is for{" "}
            {Object.keys(offer.images)[0] ?? "none"}.
          </p>
        )}
      </Panel>
      <form
        class="long-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <DefinitionFields form={form} onChange={setForm} problems={deploying.problems} choices={choices} />
        <Refusal error={deploying.error} form={form} image={form.image} />
        <SubmitButton
          busy={busy}
          words={template === undefined ? "Deploy" : "Build and deploy"}
          why={template !== undefined && builds === false ? NO_BUILDER : undefined}
        />
        <Equivalent cli={cli} curl={deployCommands(definitionFrom(form, NOTHING), "POST").curl} />
      </form>
      <BuildLog lines={log.lines} />
    </>
  );
}
