/** Random GraphQL documents of a schema: most of them valid or nearly so. */
import fc from "fast-check";
import {
  type GraphQLArgument,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  OperationTypeNode,
} from "graphql";
import { ODD_TEXTS } from "./odd-texts.ts";

export interface GraphqlAsked {
  readonly query: string;
  readonly variables: unknown;
  readonly operationName: string | null | undefined;
}

/** Numbers in [0, 1): what is left of them decides. At its end everything is as short as can be. */
type Chance = () => number;

/** `known`: values of scalars that mean something, by the name of the argument or scalar. */
export function documentsOf(
  schema: GraphQLSchema,
  known: Readonly<Record<string, readonly string[]>>,
): fc.Arbitrary<GraphqlAsked> {
  // Evenly, since what decides first would be the first of its kinds otherwise.
  return fc.noBias(fc.array(fc.nat(9_999), { minLength: 150, maxLength: 150 })).map((numbers) => {
    let at = 0;
    return write(schema, known, () => (numbers[at++] ?? 0) / 10_000);
  });
}

const ROOTS = [OperationTypeNode.QUERY, OperationTypeNode.MUTATION, OperationTypeNode.SUBSCRIPTION];

function write(
  schema: GraphQLSchema,
  known: Readonly<Record<string, readonly string[]>>,
  chance: Chance,
): GraphqlAsked {
  const is = (times: number) => chance() > 1 - times;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(chance() * items.length)]!;
  const variables: Record<string, unknown> = {};
  const declared: string[] = [];
  const fragments: string[] = [];

  const jsonOf = (name: string, type: GraphQLInputType): unknown => {
    if (isNonNullType(type)) return jsonOf(name, type.ofType);
    if (is(0.05)) return pick<unknown>([null, -1, 1e20, 2.5, true, [], {}, [[]], ...ODD_TEXTS]);
    if (isListType(type))
      return Array.from({ length: Math.floor(chance() * 3) }, () => jsonOf(name, type.ofType));
    if (isEnumType(type)) return pick(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter(({ type: of }) => isNonNullType(of) || is(0.5));
      return Object.fromEntries(fields.map((field) => [field.name, jsonOf(field.name, field.type)]));
    }
    if (type.name === "Int") return pick([1, 2, 100, 101, 0, -1, 2 ** 31 - 1]);
    if (type.name === "Boolean") return is(0.5);
    const some = known[name] ?? known[type.name] ?? [];
    return some.length > 0 && is(0.8) ? pick(some) : pick(ODD_TEXTS);
  };

  /** As the document writes it. */
  const literal = (value: unknown, type: GraphQLInputType): string => {
    if (Array.isArray(value)) return `[${value.map((item) => literal(item, type)).join(", ")}]`;
    if (typeof value === "object" && value !== null)
      return `{${Object.entries(value)
        .map(
          ([name, member]) => `${/^\w+$/.test(name) ? name : "x"}: ${literal(member, fieldType(type, name))}`,
        )
        .join(", ")}}`;
    const isWord = isEnumType(getNamedType(type)) && /^[A-Z_]+$/.test(String(value));
    return isWord ? String(value) : JSON.stringify(value);
  };

  const argumentsOf = (args: readonly GraphQLArgument[]): string => {
    const given = args.filter(({ type }) => (isNonNullType(type) ? !is(0.03) : is(0.5)));
    const texts = given.map(({ name, type }) => {
      const value = jsonOf(name, type);
      if (is(0.6)) return `${name}: ${literal(value, type)}`;
      const variable = `v${declared.length}`;
      declared.push(`$${variable}: ${is(0.95) ? String(type) : "Nothing"}`);
      if (is(0.95)) variables[variable] = value;
      return `${name}: $${variable}`;
    });
    if (is(0.02)) texts.push("unknown: 1");
    return texts.length === 0 ? "" : `(${texts.join(", ")})`;
  };

  const selectionOf = (type: GraphQLObjectType, depth: number): string => {
    const fields = Object.values(type.getFields());
    const wanted = fields.filter(() => is(depth > 4 ? 0.2 : 0.5));
    const texts = (wanted.length > 0 ? wanted : fields.slice(0, 1)).map((field) => fieldOf(field, depth));
    if (is(0.1)) texts.push("__typename");
    if (is(0.02))
      texts.push(pick(["unknown", "__schema { types { name } }", '__type(name: "Ticket") { name }']));
    if (is(0.05)) texts.push(`... on ${type.name} { ${texts[0]} }`);
    if (is(0.05)) {
      const name = `F${fragments.length}`;
      fragments.push(`fragment ${name} on ${type.name} { ${is(0.1) ? `...${name}` : texts[0]} }`);
      texts.push(`...${name}`);
    }
    return ` { ${texts.join(" ")} }`;
  };

  const fieldOf = (field: ReturnType<GraphQLObjectType["getFields"]>[string], depth: number): string => {
    const type = getNamedType(field.type);
    const alias = is(0.1) ? `${pick(["a", "b", field.name])}: ` : "";
    const directive = is(0.05) ? pick([" @skip(if: true)", " @include(if: false)", " @unknown"]) : "";
    const inner = isObjectType(type) ? selectionOf(type, depth + 1) : "";
    return alias + field.name + argumentsOf(field.args) + directive + inner;
  };

  const kind = pick(ROOTS);
  const root = schema.getRootType(kind)!;
  const field = pick(Object.values(root.getFields()));
  const often = is(0.1) ? Math.floor(chance() * 30) : 1;
  const body = Array.from({ length: often }, (_, n) => (n > 0 ? `r${n}: ` : "") + fieldOf(field, 0)).join(
    " ",
  );
  const second = is(0.05) ? " query Second { __typename }" : "";
  const given = declared.length === 0 ? "" : `(${declared.join(", ")})`;
  const query = `${kind} First${given} { ${body} } ${fragments.join(" ")}${second}`;
  return {
    query: is(0.05) ? query.slice(0, Math.floor(chance() * query.length)) : query,
    variables: is(0.03) ? pick<unknown>([null, [], 1, "x", {}]) : variables,
    operationName: second !== "" || is(0.2) ? pick(["First", "Second", "", null]) : undefined,
  };
}

function fieldType(type: GraphQLInputType, name: string): GraphQLInputType {
  const named = getNamedType(type);
  return (isInputObjectType(named) ? named.getFields()[name]?.type : undefined) ?? named;
}
