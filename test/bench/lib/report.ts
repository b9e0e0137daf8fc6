/** The report: tables of plain text, and the targets met and missed. */
import type { SectionResult, Table, Target } from "./section.ts";

function renderTable({ title, columns, rows }: Table): string {
  const cells = [columns, ...rows].map((row) => row.map(String));
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!)))
      .join("   "),
  );
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)).join("   "));
  return `${title}\n\n${lines.map((line) => `  ${line.trimEnd()}`).join("\n")}\n`;
}

/** One section, its targets below its tables. */
export function renderSection(title: string, result: SectionResult): string {
  const parts = [`\n## ${title}\n`, ...result.tables.map(renderTable)];
  if (result.targets.length > 0) parts.push(renderTargets(result.targets));
  for (const failure of result.failures) parts.push(`  FAILED: ${failure}\n`);
  return parts.join("\n");
}

export function renderTargets(targets: readonly Target[]): string {
  return renderTable({
    title: "targets",
    columns: ["target", "wanted", "measured", "result"],
    rows: targets.map(({ what, wanted, measured, met }) => [what, wanted, measured, met ? "met" : "MISSED"]),
  });
}
