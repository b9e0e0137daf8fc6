/** The reference server's events: one list a company, kept for good. */
import type { Outgoing } from "../../../../bin/conformance/publishers.ts";
import type { Defect } from "./defects.ts";

export interface Entry {
  readonly id: string;
  readonly company: string;
  readonly type: string;
  readonly data: string;
  readonly event: object;
}

/** Before the first entry of any list. */
export const BEFORE_FIRST = "referenceone.0-0";
/** In place of a cursor of the history: where the list ends. */
export const LATEST = "latest";
export const CURSOR = /^([A-Za-z0-9]{1,24})\.(\d{1,15})-(\d{1,15})$/;
export const COMPANY = /^[A-Za-z0-9._-]{1,64}$/;
export const TYPE = /^[a-z0-9._-]{1,64}$/;

export function createReferenceLog(defect: Defect | undefined) {
  const lists = new Map<string, Entry[]>();
  let sequence = 0;

  const of = (company: string): Entry[] => {
    const list = lists.get(company) ?? [];
    lists.set(company, list);
    return list;
  };

  return {
    lists,
    of,
    /** The entries of every company. */
    all: (): Entry[] => [...lists.values()].flat(),
    /** An id as clients see it, and back. */
    shown: (id: string) => (defect === "ids-with-colons" ? id.replace("-", ":") : id),
    read: (cursor: string) => (defect === "ids-with-colons" ? cursor.replace(":", "-") : cursor),
    /** Drops what is not valid and returns what was appended. */
    append(company: string, events: readonly Outgoing[]): Entry[] {
      const appended: Entry[] = [];
      for (const { type, data, id = String(sequence) } of events) {
        if (!TYPE.test(type) || !COMPANY.test(company) || /[\u0000-\u001f]/.test(id)) continue;
        const line = defect === "line-breaks-not-escaped" ? data : data.replace(/[\r\n]+/g, " ").trim();
        const named = Object.hasOwn(JSON.parse(data), "companyId");
        const full = named ? line : `{"companyId":"${company}",${line.slice(1)}`;
        const attributes = {
          specversion: "1.0",
          id,
          source: "/reference",
          type,
          time: new Date().toISOString(),
          companyid: company,
        };
        appended.push({
          id: `referenceone.${Date.now()}-${++sequence}`,
          company,
          type,
          data: full,
          event: { ...attributes, data: JSON.parse(full) },
        });
      }
      of(company).push(...appended);
      return appended;
    },
  };
}

export type ReferenceLog = ReturnType<typeof createReferenceLog>;
