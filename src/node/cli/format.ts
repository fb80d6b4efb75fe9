// Numbers and bars as people read them.
// Not JSON: with --json nothing here is used.

/** 1234567 -> `1.23 M`. */
export function count(value: number): string {
  for (const [size, unit] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (value >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  return String(value);
}

/** Nanoseconds -> `12.3 ms`. */
export function time(ns: number): string {
  if (ns >= 1e9) return `${(ns / 1e9).toPrecision(3)} s`;
  if (ns >= 1e6) return `${(ns / 1e6).toPrecision(3)} ms`;
  return `${(ns / 1e3).toPrecision(3)} us`;
}

/** Bytes -> `512 KiB`. */
export function bytes(value: number): string {
  if (value >= 2 ** 30) return `${trim(value / 2 ** 30)} GiB`;
  if (value >= 2 ** 20) return `${trim(value / 2 ** 20)} MiB`;
  if (value >= 2 ** 10) return `${trim(value / 2 ** 10)} KiB`;
  return `${value} B`;
}

function trim(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}

/** A share from 0 to 1 -> `98.2 %`. Never rounds to 100 what is not all. */
export function percent(share: number): string {
  const shown = share < 1 && share > 0.999 ? 0.999 : share;
  return `${(shown * 100).toFixed(1)} %`;
}

/** A bar of `width` cells for a share from 0 to 1, in eighths of a cell. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const full = '█'.repeat(eighths >> 3);
  const rest = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths & 7]!;
  return (full + rest).padEnd(width, ' ');
}
