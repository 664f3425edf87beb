import { ApiError } from "../../api.ts";
import { Link } from "../../components/link.tsx";
import { Failure } from "../../components/message.tsx";
import type { DefinitionForm } from "../../definition/form.ts";

export interface RefusalProps {
  readonly error: unknown;
  readonly form: Pick<DefinitionForm, "service" | "namespace">;
  /** What the function that is there could have instead. */
  readonly image?: string;
}

/** Why a definition was not taken; one that is there already can be changed. */
export function Refusal({ error, form, image }: RefusalProps) {
  if (error === undefined) return null;
  const isThere = error instanceof ApiError && error.status === 409;
  const to = `/functions/${encodeURIComponent(form.namespace)}/${encodeURIComponent(form.service.trim())}/settings`;
  const withImage = image === undefined || image === "" ? to : `${to}?image=${encodeURIComponent(image)}`;
  return (
    <>
      <Failure error={error} />
      {isThere && (
        <p>
          <Link to={withImage}>Change the settings of {form.service.trim()}</Link>, or take another name.
        </p>
      )}
    </>
  );
}
