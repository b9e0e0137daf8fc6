/** How a service is at present: the members of its status, of a bounded number whatever it calls them. */
import { entriesOf, toMembers } from "./json.ts";

/** Members of a status: one that is named after what is worked on would grow with every item. */
const MAX_MEMBERS = 100;
/** Characters of a name. */
const MAX_NAME_CHARS = 64;

export interface Present {
  /** What is undefined is no longer said. Returns how many members there was no room for, or whose name is too long. */
  change(update: unknown): number;
  /** As members of JSON. */
  text(): string;
}

/** @param reserved Members that are not the service's to say. */
export function createPresent(reserved: ReadonlySet<string>): Present {
  const members = new Map<string, unknown>();
  return {
    change(update) {
      let leftOut = 0;
      for (const [name, value] of entriesOf(update)) {
        if (reserved.has(name)) continue;
        if (value === undefined) members.delete(name);
        else if (name.length <= MAX_NAME_CHARS && (members.has(name) || members.size < MAX_MEMBERS)) {
          members.set(name, value);
        } else leftOut++;
      }
      return leftOut;
    },
    text: () => toMembers(members),
  };
}
