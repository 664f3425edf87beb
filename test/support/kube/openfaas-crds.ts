import type { Fields } from "./types.ts";

function definition(kind: string, plural: string, withStatus: boolean, spec: Fields): Fields {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.openfaas.com` },
    spec: {
      group: "openfaas.com",
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          ...(withStatus && { subresources: { status: {} } }),
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                spec,
                status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
              },
            },
          },
        },
      ],
    },
  };
}

/** Lenient definitions of OpenFaaS's kinds, for tests that do not bring the chart's. */
export const OPENFAAS_CRDS: readonly Fields[] = [
  definition("Function", "functions", true, {
    type: "object",
    required: ["name", "image"],
    properties: { name: { type: "string" }, image: { type: "string" } },
    "x-kubernetes-preserve-unknown-fields": true,
  }),
  definition("Profile", "profiles", false, { type: "object", "x-kubernetes-preserve-unknown-fields": true }),
];
