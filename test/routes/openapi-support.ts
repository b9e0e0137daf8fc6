/** The document as the tests read it. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export interface ApiMedia {
  /** None: of streams. */
  readonly schema?: object;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}
export interface ApiResponse {
  readonly $ref?: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: Readonly<Record<string, ApiMedia>>;
}
export interface ApiOperation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
    readonly example?: unknown;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, ApiMedia>> };
  readonly responses: Readonly<Record<string, ApiResponse>>;
}
export interface ApiDocument {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, ApiOperation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly responses: Readonly<Record<string, ApiResponse>>;
  };
}

export function operationsOf({ paths }: ApiDocument) {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

export function responseOf(
  { components }: ApiDocument,
  response: ApiResponse | undefined,
): ApiResponse | undefined {
  return response?.$ref === undefined ? response : components.responses[response.$ref.split("/").at(-1)!];
}

/** What is wrong with the value; members that the schema does not name are, too. */
export function problemsOf(document: ApiDocument, schema: object, value: unknown): string[] {
  const validate = compiled.get(schema) ?? compile(document, schema);
  compiled.set(schema, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
const compiled = new WeakMap<object, ValidateFunction>();

/** The document leaves its objects open, as clients must; here what it does not name is a mistake of the document. */
function compile({ components }: ApiDocument, schema: object): ValidateFunction {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addVocabulary(["components", "example"]);
  return ajv.compile(close({ ...schema, components: { schemas: components.schemas } }) as object);
}

function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, close(member)]));
  const isOpen = members.type === "object" && "properties" in members && !("additionalProperties" in members);
  return isOpen ? { ...members, additionalProperties: false } : members;
}
