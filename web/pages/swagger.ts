/** Swagger UI on this server's own document. Its bundle, a plain script, has run before: modules and deferred scripts keep their order. */
export {};

declare global {
  /** https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/ */
  function SwaggerUIBundle(options: {
    readonly url: string;
    readonly dom_id: string;
    readonly deepLinking: boolean;
    readonly displayRequestDuration: boolean;
    readonly validatorUrl: null;
  }): void;
}

SwaggerUIBundle({
  url: "/openapi.yaml",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // Else it asks somebody else's server what it thinks of the document.
  validatorUrl: null,
});
