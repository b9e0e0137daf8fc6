/** Fields that may be large: under other names each is printed again. How large they are is seen when they are answered (answer-size.ts). */
import {
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLNamedType,
  getNamedType,
  type InlineFragmentNode,
  isObjectType,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
} from "graphql";

/** For how many fields each counts. */
const LARGE: ReadonlyMap<string, number> = new Map([
  ["Event.data", 40],
  ["TicketMessage.text", 4],
  ["TicketChange.changes", 4],
  ["Ticket.messages", 1],
  ["Ticket.changes", 1],
]);
/** Names one of them may have in one object of the answer. */
export const MAX_NAMES = 2;

/** For how many fields one without fields of its own counts. */
export function weightOf(parent: GraphQLNamedType | undefined, node: FieldNode): number {
  return LARGE.get(nameOf(parent, node)) ?? 1;
}

const nameOf = (parent: GraphQLNamedType | undefined, { name }: FieldNode) => `${parent?.name}.${name.value}`;

/**
 * By how many names large fields are asked for at most in one object of the answer, those of fields that are merged into one included. Costs as
 * much as the document has fields with its fragments spread: for documents whose cost is bounded.
 */
export function namesOfLarge(
  context: ValidationContext,
  sets: readonly SelectionSetNode[],
  parent: GraphQLNamedType | undefined,
): ReadonlyMap<string, number> {
  const most = new Map<string, number>();
  if (!isObjectType(parent)) return most;
  const here = new Map<string, number>();
  for (const nodes of fieldsOf(context, sets, parent).values()) {
    const name = nameOf(parent, nodes[0]!);
    if (LARGE.has(name)) here.set(name, (here.get(name) ?? 0) + 1);
    const below = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
    const field = parent.getFields()[nodes[0]!.name.value];
    if (below.length === 0 || field === undefined) continue;
    for (const [other, count] of namesOfLarge(context, below, getNamedType(field.type))) {
      most.set(other, Math.max(most.get(other) ?? 0, count));
    }
  }
  for (const [name, count] of here) most.set(name, Math.max(most.get(name) ?? 0, count));
  return most;
}

/** The fields of an object of the answer, by the names they have there. */
function fieldsOf(context: ValidationContext, sets: readonly SelectionSetNode[], parent: GraphQLNamedType) {
  const fields = new Map<string, FieldNode[]>();
  const seen = new Set<string>();
  const collect = (set: SelectionSetNode): void => {
    for (const node of set.selections) {
      if (node.kind === Kind.FIELD) {
        const name = node.alias?.value ?? node.name.value;
        const same = fields.get(name);
        if (same === undefined) fields.set(name, [node]);
        else same.push(node);
        continue;
      }
      let spread: InlineFragmentNode | FragmentDefinitionNode | null | undefined;
      if (node.kind === Kind.INLINE_FRAGMENT) spread = node;
      else {
        const name = node.name.value;
        if (seen.has(name)) continue;
        seen.add(name);
        spread = context.getFragment(name);
      }
      // Of another type is another rule's to report; and types of ours are in no circles, as fragments may be.
      if (spread && (spread.typeCondition?.name.value ?? parent.name) === parent.name) {
        collect(spread.selectionSet);
      }
    }
  };
  for (const set of sets) collect(set);
  return fields;
}
