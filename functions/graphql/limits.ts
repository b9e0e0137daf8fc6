/**
 * What a document may ask for, checked before anything of it is run. Ours, because a page size in a variable passes by the rules that there are
 * (graphql-armor's cost limit multiplies by literals alone).
 */
import {
  type ASTVisitor,
  type FieldNode,
  GraphQLError,
  type GraphQLNamedType,
  getNamedType,
  isIntrospectionType,
  isObjectType,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from "graphql";
import { MAX_PAGE } from "./inputs.ts";
import { MAX_NAMES, namesOfLarge, weightOf } from "./large-fields.ts";

/** Of a document: names, braces, values. Ten times what the largest of our own has. */
export const MAX_TOKENS = 1_000;
/** Of fields in fields; the schema has no more than 4 without an alias' help. */
const MAX_DEPTH = 8;
/** Fields at the top, under aliases too: each costs a read of the log, of events up to four. */
const MAX_ROOT_FIELDS = 10;
/** Fields that may be answered, each as often as its lists are long: a page of 100 tickets with 10 messages each and all of their fields. */
const MAX_COST = 10_000;
interface Size {
  readonly depth: number;
  readonly cost: number;
}

/** Rejects documents that are too large; a fragment counts wherever it is spread. */
export const limitsRule: ValidationRule = (context) => ({
  OperationDefinition(operation) {
    const { root, size } = createMeter(context);
    const type = context.getSchema().getRootType(operation.operation);
    const fields = root(operation.selectionSet);
    if (fields > MAX_ROOT_FIELDS) return report(context, "fields at the top", fields, MAX_ROOT_FIELDS);
    const { depth, cost } = size(operation.selectionSet, type ?? undefined);
    if (depth > MAX_DEPTH) return report(context, "levels deep", depth, MAX_DEPTH);
    if (cost > MAX_COST) return report(context, "fields to be answered", cost, MAX_COST);
    for (const [field, most] of namesOfLarge(context, [operation.selectionSet], type ?? undefined)) {
      if (most > MAX_NAMES) return report(context, `names of ${field} in one object`, most, MAX_NAMES);
    }
  },
});

function report(context: ValidationContext, what: string, was: number, most: number): void {
  const count = was > 1_000_000 ? "over a million" : was;
  const message = `Cannot run an operation of this size: ${count} ${what}, expected at most ${most}`;
  context.reportError(new GraphQLError(message, { extensions: { code: "too-large" } }));
}

function createMeter(context: ValidationContext) {
  const fragments = new Map<string, Size>();
  const roots = new Map<string, number>();

  /** Fields of the set itself. A fragment in itself is another rule's to report. */
  const root = (set: SelectionSetNode): number =>
    set.selections.reduce((sum, node) => {
      if (node.kind === Kind.FIELD) return sum + 1;
      if (node.kind === Kind.INLINE_FRAGMENT) return sum + root(node.selectionSet);
      const name = node.name.value;
      const fragment = context.getFragment(name);
      if (!roots.has(name) && fragment) {
        roots.set(name, 0);
        roots.set(name, root(fragment.selectionSet));
      }
      return sum + (roots.get(name) ?? 0);
    }, 0);

  const sizeOfField = (node: FieldNode, parent: GraphQLNamedType | undefined): Size => {
    const field = isObjectType(parent) ? parent.getFields()[node.name.value] : undefined;
    if (node.selectionSet === undefined) return { depth: 1, cost: weightOf(parent, node) };
    const type = field && getNamedType(field.type);
    // `__schema` and `__type` answer what is small and the same for everybody, and are nested deep.
    if (field === undefined && node.name.value.startsWith("__")) return { depth: 1, cost: 1 };
    const { depth, cost } = size(node.selectionSet, type);
    return { depth: depth + 1, cost: 1 + cost * timesOf(node, field?.args) };
  };

  const size = (set: SelectionSetNode, parent: GraphQLNamedType | undefined): Size => {
    let [depth, cost] = [0, 0];
    for (const node of set.selections) {
      const one =
        node.kind === Kind.FIELD
          ? sizeOfField(node, parent)
          : node.kind === Kind.INLINE_FRAGMENT
            ? size(node.selectionSet, parent)
            : sizeOfFragment(node.name.value, parent);
      depth = Math.max(depth, one.depth);
      cost += one.cost;
    }
    return { depth, cost };
  };

  const sizeOfFragment = (name: string, parent: GraphQLNamedType | undefined): Size => {
    const known = fragments.get(name);
    if (known !== undefined) return known;
    fragments.set(name, { depth: 0, cost: 0 });
    const fragment = context.getFragment(name);
    if (fragment) fragments.set(name, size(fragment.selectionSet, parent));
    return fragments.get(name)!;
  };

  return { root, size };
}

/** How often what is below may be answered: what a page may hold at most where that is not said in the document itself. */
function timesOf(
  node: FieldNode,
  args: readonly { readonly name: string; readonly defaultValue?: unknown }[] | undefined,
): number {
  const page = args?.find(({ name }) => name === "first" || name === "last");
  if (page === undefined) return 1;
  const given = node.arguments?.find(({ name }) => name.value === page.name)?.value;
  if (given === undefined) return Number(page.defaultValue);
  return given.kind === Kind.INT ? Math.max(1, Number(given.value)) : MAX_PAGE;
}

/**
 * Refuses `@skip` and `@include` at the top of a subscription, as the draft of the specification does (GraphQL, section 5.2.4.1): one of no field at
 * all is nothing that yoga can run.
 */
export const wholeSubscriptionRule: ValidationRule = (context) => {
  const seen = new Set<string>();
  const refuse = (set: SelectionSetNode): void => {
    for (const node of set.selections) {
      const directive = node.directives?.find(
        ({ name }) => name.value === "skip" || name.value === "include",
      );
      if (directive !== undefined) {
        const message = `Cannot subscribe to what may be left out: expected no @${directive.name.value} at the top`;
        context.reportError(
          new GraphQLError(message, { nodes: directive, extensions: { code: "invalid-input" } }),
        );
      }
      if (node.kind === Kind.INLINE_FRAGMENT) refuse(node.selectionSet);
      if (node.kind !== Kind.FRAGMENT_SPREAD || seen.has(node.name.value)) continue;
      const fragment = context.getFragment(node.name.value);
      seen.add(node.name.value);
      if (fragment) refuse(fragment.selectionSet);
    }
  };
  return {
    OperationDefinition({ operation, selectionSet }) {
      if (operation === OperationTypeNode.SUBSCRIPTION) refuse(selectionSet);
    },
  };
};

/** `__schema` is refused here; `__type` where it is run, since its name may be in a variable. */
export const noSchemaRule: ValidationRule = (context) => ({
  Field(node) {
    const type = context.getType();
    if (!type || node.name.value === "__type" || !isSchemaType(getNamedType(type))) return;
    context.reportError(introspectionOff(node));
  },
});

const isSchemaType = (type: GraphQLNamedType) => isIntrospectionType(type) && type.name === "__Schema";

export function introspectionOff(node: FieldNode): GraphQLError {
  return new GraphQLError("Cannot show the schema: introspection is off", {
    nodes: node,
    extensions: { code: "forbidden" },
  });
}

/** Names asked for by `__type`, wherever they are written. */
export function typesAskedFor(
  variables: Readonly<Record<string, unknown>>,
  found: (name: unknown, node: FieldNode) => void,
): ASTVisitor {
  const defaults = new Map<string, string>();
  return {
    VariableDefinition({ variable, defaultValue }) {
      if (defaultValue?.kind === Kind.STRING) defaults.set(variable.name.value, defaultValue.value);
    },
    Field(node) {
      if (node.name.value !== "__type") return;
      const value = node.arguments?.find(({ name }) => name.value === "name")?.value;
      if (value?.kind === Kind.STRING) found(value.value, node);
      if (value?.kind !== Kind.VARIABLE) return;
      found(variables[value.name.value], node);
      found(defaults.get(value.name.value), node);
    },
  };
}
