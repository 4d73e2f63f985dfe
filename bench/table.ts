import type { Figure, Result } from './bench.ts';

const WIDTHS = [58, 12, 12, 9] as const;

/** The results as one table, ready to print. */
export function tableOf(results: readonly Result[]): string {
  const rule = '-'.repeat(WIDTHS.reduce((sum, width) => sum + width, 0));
  const lines = [line('what is measured', 'ours', 'limit', 'ratio'), rule];
  for (const { title, figures, notes } of results) {
    lines.push(title, ...figures.map(lineOf), ...notes.map((note) => `    ${note}`), '');
  }
  return `${lines.join('\n')}\nThe ratio is ours to the limit, of medians of turns taken one after the other.\n`;
}

function lineOf({ what, unit, ours, limit }: Figure): string {
  const shown = (value: number) => `${rounded(value)}${unit && ` ${unit}`}`;
  return line(
    `  ${what}`,
    shown(ours),
    limit === null ? '' : shown(limit),
    limit === null ? '' : rounded(ours / limit),
  );
}

function line(what: string, ...cells: string[]): string {
  return what.padEnd(WIDTHS[0]) + cells.map((cell, index) => cell.padStart(WIDTHS[index + 1] ?? 0)).join('');
}

/** To three digits. */
function rounded(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const digits = value === 0 ? 1 : 2 - Math.floor(Math.log10(Math.abs(value)));
  return value.toLocaleString('en', {
    minimumFractionDigits: 0,
    maximumFractionDigits: Math.min(Math.max(digits, 0), 3),
  });
}
