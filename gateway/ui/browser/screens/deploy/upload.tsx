import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { UiTemplates } from "../../../../../contract/ui/deploy.ts";
import { command, curlOf, option } from "../../act.ts";
import { askJson } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field } from "../../components/field.tsx";
import { Failure, Notice } from "../../components/message.tsx";
import { useAsked } from "../../components/resource.ts";
import { type DefinitionForm, definitionFrom, emptyForm } from "../../definition/form.ts";
import { formatNumber, formatSize } from "../../format.ts";
import { session } from "../../state/session.ts";
import { handlerOf, UPLOAD_LIMITS } from "../../upload/context.ts";
import { guessTemplate, nameFor } from "../../upload/guess.ts";
import type { PackedFile } from "../../upload/tar.ts";
import { readZip } from "../../upload/zip.ts";
import { buildImage } from "./build.ts";
import { BuildLog, useBuildLog } from "./build-log.tsx";
import { useChoices } from "./choices.ts";
import { DefinitionFields } from "./definition-fields.tsx";
import { Progress } from "./progress.tsx";
import { Refusal } from "./refusal.tsx";
import { SubmitButton } from "./submit-button.tsx";
import { useDeploy } from "./use-deploy.ts";
import { NO_BUILDER, usePlatform } from "./use-platform.ts";

const NOTHING = { service: "", image: "" };

/** Files of a handler, and what they come from. */
interface Chosen {
  readonly from: string;
  readonly files: readonly PackedFile[];
}

/** Deploys a folder or a zip: it is packed here, built by the platform, and deployed. */
export function DeployUpload() {
  const { builds } = usePlatform();
  const templates = useAsked("templates", (signal) => askJson<UiTemplates>("/ui/api/templates", { signal }));
  const names = (templates.value?.templates ?? []).map(({ name }) => name);
  const [form, setForm] = useState(() => emptyForm(session.value?.defaultNamespace ?? "openfaas-fn"));
  const [chosen, setChosen] = useState<Chosen>();
  const [template, setTemplate] = useState("");
  const [work, setWork] = useState<AbortController>();
  const choices = useChoices(form.namespace);
  const deploying = useDeploy();
  const log = useBuildLog();
  const running = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  // As long as nobody says otherwise, it is called as the function is.
  const image = form.image === "" && form.service !== "" ? `${form.service.trim()}:latest` : form.image;
  const complete: DefinitionForm = { ...form, image };
  const language =
    template ||
    guessTemplate(chosen?.files.map(({ path }) => path) ?? [], names) ||
    (names.includes("node") ? "node" : names[0]) ||
    "";
  const about = templates.value?.templates.find(({ name }) => name === language)?.about;

  const choose = (next: Chosen) => {
    setChosen(next);
    if (form.service === "") setForm({ ...form, service: nameFor(next.from) });
  };
  const submit = async () => {
    if (!chosen || !deploying.check(complete)) return;
    const controller = new AbortController();
    running.current = controller;
    setWork(controller);
    log.clear();
    deploying.reset();
    try {
      const { signal } = controller;
      const built = await buildImage({ image, template: language, handler: chosen.files, onLine: log.add, signal });
      await deploying.send(definitionFrom({ ...complete, image: built }, NOTHING), "POST");
    } catch (error) {
      deploying.fail(controller.signal.aborted ? new Error("the build was stopped") : error);
    }
    setWork(undefined);
  };
  const cli = [
    command(
      ...["faaslane", "build", "--name", complete.service || "NAME", "--lang", language || "TEMPLATE"],
      ...["--handler", "./FOLDER", "--image", image || "IMAGE"],
    ),
    command(
      ...["faaslane", "deploy", "--name", complete.service || "NAME", "--image", image || "IMAGE"],
      ...option("-n", complete.namespace),
    ),
  ].join("\n");
  const why = whyNot(builds, chosen, language);
  return (
    <>
      {builds === false && (
        <Notice>{NO_BUILDER} Build and push an image with “faaslane publish”, then deploy that.</Notice>
      )}
      {templates.error !== undefined && !templates.value && <Failure error={templates.error} />}
      {deploying.done && <Progress deployed={deploying.done} key={deploying.done.name} />}
      <form
        class="long-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <FileChoice onChoose={choose} />
        {chosen && (
          <p role="status">
            {chosen.from}: {formatNumber(chosen.files.length)} files, {formatSize(sizeOf(chosen.files))}.
          </p>
        )}
        <Field
          label="Template"
          value={language}
          options={names}
          onInput={setTemplate}
          hint={about ?? "what the files are laid into"}
        />
        <DefinitionFields
          form={complete}
          onChange={(next) => setForm(next.image === image && form.image === "" ? { ...next, image: "" } : next)}
          problems={deploying.problems}
          choices={choices}
          imageHint="name of the image that is built; with its registry, where the platform pushes to one"
        />
        <Refusal error={deploying.error} form={complete} image={image} />
        <SubmitButton busy={work !== undefined} words="Build and deploy" why={why} />
        {work && (
          <p class="buttons">
            <button type="button" onClick={() => work.abort()}>
              Stop the build
            </button>
          </p>
        )}
        <Equivalent cli={cli} curl={uploadCurl(image)} />
      </form>
      <BuildLog lines={log.lines} />
    </>
  );
}

function whyNot(builds: boolean | undefined, chosen: Chosen | undefined, template: string): string | undefined {
  if (builds === false) return NO_BUILDER;
  if (!chosen) return "Choose a folder or a zip first.";
  return template === "" ? "The templates are not known yet." : undefined;
}

function uploadCurl(image: string): string {
  const config = JSON.stringify({ image: image || "IMAGE" });
  return `${curlOf({ method: "POST", path: "/system/build" })} -F config='${config}' -F context=@context.tar.gz`;
}

function sizeOf(files: readonly PackedFile[]): number {
  return files.reduce((total, { content }) => total + (content instanceof Blob ? content.size : content.length), 0);
}

/** The element has it; the types of its attributes do not. */
function takeFolders(input: HTMLInputElement | null): void {
  input?.setAttribute("webkitdirectory", "");
}

/** A folder or a zip. */
function FileChoice({ onChoose }: { readonly onChoose: (chosen: Chosen) => void }) {
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const read = async (load: () => Promise<Chosen>) => {
    setBusy(true);
    setError(undefined);
    try {
      onChoose(await load());
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };
  const folder = (list: FileList) =>
    read(async () => {
      const files = [...list].map((file) => ({ path: file.webkitRelativePath || file.name, content: file }));
      return { from: files[0]?.path.split("/")[0] ?? "", files: handlerOf(files) };
    });
  const zip = (file: File) =>
    read(async () => ({ from: file.name, files: handlerOf(await readZip(file, UPLOAD_LIMITS)) }));
  return (
    <fieldset class="choice-field">
      <legend>Files</legend>
      <div class="fields-beside">
        <div class="field">
          <label for={`${id}-folder`}>A folder</label>
          <input
            id={`${id}-folder`}
            type="file"
            ref={takeFolders}
            multiple
            onChange={({ currentTarget: { files } }) => files && files.length > 0 && void folder(files)}
          />
        </div>
        <div class="field">
          <label for={`${id}-zip`}>Or a zip</label>
          <input
            id={`${id}-zip`}
            type="file"
            accept=".zip,application/zip"
            onChange={({ currentTarget: { files } }) => files?.[0] && void zip(files[0])}
          />
        </div>
      </div>
      <p class="hint">
        At most {formatNumber(UPLOAD_LIMITS.maxFiles)} files and {formatSize(UPLOAD_LIMITS.maxBytes)}. They are read
        here and sent when you deploy.
      </p>
      {busy && <p role="status">Reading…</p>}
      {error !== undefined && <Failure error={error} />}
    </fieldset>
  );
}
