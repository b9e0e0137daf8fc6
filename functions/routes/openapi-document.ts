/** The OpenAPI 3.1 document of operations: their zod schemas are JSON Schema of draft 2020-12, as that version of OpenAPI has it. */
import * as z from "zod";
import {
  headersOf,
  type Json,
  nameOf,
  PROBLEM,
  problemResponses,
  SECURITY,
  SECURITY_SCHEMES,
} from "./openapi-components.ts";
import { type Answer, type Operation, type Problem, TAGS } from "./operation.ts";

/** `version`: of the product, as the document says it. */
export interface DocumentInfo {
  readonly title: string;
  readonly version: string;
  /** In Markdown. */
  readonly description: string;
}

/** Data alone: the same value as JSON and as YAML. */
export function openapiDocument(info: DocumentInfo, operations: readonly Operation[]): Json {
  const schemas: Json = {};
  const schemaOf = (schema: z.ZodType) => jsonSchema(schema, schemas);
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] ??= {};
    paths[path][operation.method] = operationObject(operation, schemaOf);
  }
  schemas.Problem = schemaOf(PROBLEM);
  return {
    openapi: "3.1.1",
    info: { ...info, license: { name: "MIT", identifier: "MIT" } },
    servers: [{ url: "/" }],
    tags: Object.entries(TAGS)
      .filter(([name]) => operations.some(({ tag }) => tag === name))
      .map(([name, description]) => ({ name, description })),
    paths,
    components: { schemas, responses: problemResponses(), securitySchemes: SECURITY_SCHEMES },
  };
}

function operationObject(operation: Operation, schemaOf: (schema: z.ZodType) => Json): Json {
  const { id, tag, summary, description, access, params, query, headers, body } = operation;
  const parameters = [
    ...parametersOf("path", params, schemaOf),
    ...parametersOf("query", query, schemaOf),
    ...parametersOf("header", headers, schemaOf),
  ];
  // With AUTH_MODE=none another host is 403 everywhere.
  const problems = new Set<Problem | 500>([...(operation.problems ?? []), 403, 500]);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    security: SECURITY[access],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: bodyOf(schemaOf(body)) }),
    responses: {
      ...Object.fromEntries(
        Object.entries(operation.answers).map(([status, answer]) => [status, responseOf(answer, schemaOf)]),
      ),
      ...Object.fromEntries(
        [...problems]
          .filter((status) => !(status in operation.answers))
          .map((status) => [status, { $ref: `#/components/responses/${nameOf(status)}` }]),
      ),
    },
  };
}

function parametersOf(
  place: "path" | "query" | "header",
  fields: z.ZodObject | undefined,
  schemaOf: (schema: z.ZodType) => Json,
): Json[] {
  return Object.entries(fields?.shape ?? {}).map(([name, field]) => {
    const { description, examples, ...schema } = schemaOf(field as z.ZodType);
    const required = !z.safeParse(field as z.ZodType, undefined).success;
    return {
      name,
      in: place,
      ...(description === undefined ? {} : { description }),
      required,
      // Swagger UI fills in a parameter's example, which for an optional one would be asked for by everybody.
      ...(required && Array.isArray(examples)
        ? { schema, example: examples[0] }
        : { schema: { ...schema, examples } }),
    };
  });
}

function bodyOf(schema: Json): Json {
  return { required: true, content: { "application/json": { schema } } };
}

function responseOf(
  { description, json, jsonTypes = ["application/json"], text, headers }: Answer,
  schemaOf: (schema: z.ZodType) => Json,
): Json {
  const content = {
    ...(json === undefined
      ? {}
      : Object.fromEntries(jsonTypes.map((type) => [type, { schema: schemaOf(json) }]))),
    ...(text === undefined
      ? {}
      : { [text.type]: { ...schemaOfText(text.type), examples: examplesOf(text.examples) } }),
  };
  return {
    description,
    ...(headers === undefined ? {} : { headers: headersOf(headers) }),
    ...(Object.keys(content).length === 0 ? {} : { content }),
  };
}

/** Readers of the document do not agree whether a schema of a stream is of its text or of each of its events. */
const schemaOfText = (type: string) => (type === "text/event-stream" ? {} : { schema: { type: "string" } });

const examplesOf = (examples: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));

/** As what comes in: nothing is said of members that are not named. Schemas with an `id` go into `shared`, once each. */
function jsonSchema(schema: z.ZodType, shared: Json): Json {
  // As a member, so that one with an `id` is a reference too.
  const { properties, $defs } = z.toJSONSchema(z.object({ schema }), {
    io: "input",
    unrepresentable: "any",
    // zod refines formats by patterns of its own, some of several hundred characters.
    override: ({ zodSchema, jsonSchema }) => {
      // zod leaves these out where the input is made into something else; ours are of the input.
      const { examples } = z.globalRegistry.get(zodSchema) ?? {};
      if (examples !== undefined) jsonSchema.examples = examples as unknown[];
      if (zodSchema instanceof z.ZodDefault) jsonSchema.default = zodSchema.def.defaultValue;
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
      // What goes without saying of a number, and of the names of members, in JSON.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.propertyNames;
    },
  });
  const moved = (value: unknown) =>
    JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/'));
  Object.assign(shared, moved($defs ?? {}));
  return moved(properties!.schema);
}
