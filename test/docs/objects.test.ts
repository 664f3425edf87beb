import { expect, test } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { buildCrds } from "../../provider/backends/kubernetes/resources/crds.ts";
import { KubeServer } from "../support/kube/server.ts";
import type { Fields } from "../support/kube/types.ts";
import { blocksOf, CURRENT } from "./documents.ts";

test("an API server takes every object of OpenFaaS's group on a page, and knows each of its fields", async () => {
  const plurals = new Map(
    buildCrds().map(({ spec }) => {
      const { kind, plural } = spec.names as { readonly kind: string; readonly plural: string };
      return [kind, plural];
    }),
  );
  const kube = await KubeServer.open({ crds: buildCrds() as unknown as Fields[] });
  try {
    const objects = CURRENT.flatMap((page) =>
      blocksOf(page)
        .filter(({ language, text }) => language === "yaml" && text.startsWith("apiVersion: openfaas.com/v1\n"))
        .flatMap(({ text }) =>
          parseAllDocuments(text).map((document) => ({ page: page.path, object: document.toJS() })),
        ),
    );
    const refused: string[] = [];
    for (const { page, object } of objects) {
      const path = `/apis/openfaas.com/v1/namespaces/openfaas-fn/${plurals.get(object.kind)}?fieldValidation=Strict&dryRun=All`;
      const response = await fetch(kube.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...object, metadata: { ...object.metadata, namespace: "openfaas-fn" } }),
      });
      const text = await response.text();
      if (response.status !== 201) refused.push(`${page}: ${object.kind}: ${text}`);
    }
    expect(objects.length).toBeGreaterThan(5);
    expect(refused).toEqual([]);
  } finally {
    await kube.close();
  }
});
